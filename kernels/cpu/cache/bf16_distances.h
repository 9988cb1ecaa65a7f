// Computes squared distances from a few rows of bf16 to many. They are made of
// dot products of AVX-512 BF16, in which each product is exact, and of squared
// lengths by the same sums, so that rows that are alike are at 0.
#pragma once

#include "kernels/cpu/attention/attention_piece.h"

namespace subgen::cpu {

struct RowDistances {
  Rows points, rows;
  bool directions = false;  // as in DistanceTask
  Matrix<float> squared;    // [points.count, rows.count]
};

// Returns whether this machine has the instructions and they suit such rows.
bool HasBF16Distances(RowFormat format, int64_t dim);

// Computes columns `range` of the task's distances. Rounding is at most dim + 8
// units of the sum of both squared lengths; the bits are the same however many
// points and rows there are. scratch: BF16DistanceScratch floats.
void BF16DistanceRows(const RowDistances& task, Range range, float* scratch);
int64_t BF16DistanceScratch(const RowDistances& task);

}  // namespace subgen::cpu
