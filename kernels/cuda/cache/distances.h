// Computes distances between points and rows on device memory (DistanceTask of
// kernels/row_ops.h). Calls are put on the queue and return at once.
#pragma once

#include <cstdint>

#include "kernels/memory/row_format.h"

namespace subgen::cuda {

class Queue;

inline constexpr int kDistanceRows = 64;  // that a block takes

// A piece is at most kDistanceRows rows of a task.
struct DistancePiece {
  const float* point = nullptr;  // [dim], on the device as all of these
  const uint8_t* rows = nullptr;
  int64_t row_bytes = 0;
  int count = 0;
  int dim = 0;  // <= kMostHeadDim
  bool directions = false;
  float* squared = nullptr;  // [count]
};
// pieces is an array on the device, all of one format.
void DistancesOfPieces(Queue* queue, RowFormat format,
                       const DistancePiece* pieces, int64_t count);

}  // namespace subgen::cuda
