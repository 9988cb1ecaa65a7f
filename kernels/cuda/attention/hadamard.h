// Does Hadamard transforms of heads (kernels/memory/hadamard.h) on device
// memory. Calls are put on the queue and return at once.
#pragma once

#include "kernels/memory/view.h"

namespace subgen::cuda {

class Queue;

struct DeviceHadamard {
  const float* signs = nullptr;  // [dim], dim <= kMostHeadDim
  int64_t block = 1;             // a power of two that divides dim
  bool back = false;
};
void ApplyHadamard(Queue* queue, const DeviceHadamard& transform,
                   Matrix<float> rows);

}  // namespace subgen::cuda
