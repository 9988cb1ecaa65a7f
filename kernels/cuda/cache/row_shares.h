// Computes distances of rows that 8 lanes share.
#pragma once

#include "kernels/cuda/device/head_dim.h"
#include "kernels/cuda/device/row_products.h"

namespace subgen::cuda {

constexpr int kRuns = kMostHeadDim / kStride;  // of a lane, at most

// This is a lane's share of a row.
using Share = float[kRuns][kRun];

template <RowFormat format>
__device__ __forceinline__ void LoadShare(const uint8_t* row, int dim,
                                          Share& share) {
  for (int run = 0; run < kRuns; ++run) {
    const int first = run * kStride + PartOfLane() * kRun;
    if (first < dim) {
      LoadRow8<format>(row, dim, first, share[run]);
    } else {
      for (float& x : share[run]) x = 0.0f;
    }
  }
}

// Returns the squared length of the row that 8 lanes share. It is in double, so
// that no square is out of range.
__device__ __forceinline__ double SquaredLength(const Share& share) {
  double squares = 0.0;
  for (const auto& run : share) {
    for (const float x : run) squares += static_cast<double>(x) * x;
  }
  return GroupSum(squares, kLanesOfRow);
}
// Returns 1 / length; 0 if the length is zero.
__device__ __forceinline__ double InverseLength(const Share& share) {
  const double squares = SquaredLength(share);
  return squares > 0.0 ? 1.0 / sqrt(squares) : 0.0;
}

// Returns this lane's share of |a x - b y|^2. It is in double, so that equal
// directions are equal, and opposite ones of any length are 4.
__device__ __forceinline__ float OfDirections(const Share& x, double a,
                                              const Share& y, double b) {
  double sum = 0.0;
  for (int run = 0; run < kRuns; ++run) {
    for (int i = 0; i < kRun; ++i) {
      const double difference = a * x[run][i] - b * y[run][i];
      sum += difference * difference;
    }
  }
  return static_cast<float>(sum);
}

__device__ __forceinline__ float OfPoints(const Share& x, const Share& y) {
  float sum = 0.0f;
  for (int run = 0; run < kRuns; ++run) {
    for (int i = 0; i < kRun; ++i) {
      const float difference = x[run][i] - y[run][i];
      sum = fmaf(difference, difference, sum);
    }
  }
  return sum;
}

}  // namespace subgen::cuda
