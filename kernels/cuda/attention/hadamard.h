// Turns of heads by a Hadamard matrix (kernels/memory/hadamard.h) on device
// memory; put on the queue, returns at once.
#pragma once

#include "kernels/memory/view.h"

namespace subgen::cuda {

class Queue;

struct DeviceTurn {
  const float* signs = nullptr;  // [dim], dim <= kMostHeadDim
  int64_t block = 1;             // a power of two that divides dim
  bool back = false;
};
void TurnRows(Queue* queue, const DeviceTurn& turn, Matrix<float> rows);

}  // namespace subgen::cuda
