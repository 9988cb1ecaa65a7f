// This stands in place of kernels/cuda/device/tensor_cores.h, whose
// instructions the host lacks: the layouts are the same, and each lane computes
// its own part.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "kernels/base/check.h"
#include "kernels/cuda/device/numbers.h"

namespace subgen::cuda {

inline uint32_t PairOfBF16(float low, float high) {
  return ToBF16(low) | static_cast<uint32_t>(ToBF16(high)) << 16;
}

struct LaneFactors {
  uint32_t left[4];
  uint32_t right[2];
};

inline void AddProduct(const uint32_t (&left)[4], uint32_t right_low,
                       uint32_t right_high, float (&sums)[4]) {
  const emulation::Lanes<LaneFactors> lanes(
      {{left[0], left[1], left[2], left[3]}, {right_low, right_high}});
  const int lane = emulation::Lane();
  // Returns number `at` of the 16 that a row of the left, or a column of the
  // right, has.
  const auto number = [](uint32_t pair, int at) {
    return FromBF16(pair >> 16 * (at % 2) & 0xffff);
  };
  for (int at = 0; at < 16; ++at) {
    const int owner = at % 8 / 2;  // of the four lanes
    const LaneFactors row = lanes[lane / 4 * 4 + owner];
    for (int i = 0; i < 4; ++i) {
      const LaneFactors column = lanes[(lane % 4 * 2 + i % 2) * 4 + owner];
      sums[i] += number(row.left[i / 2 + at / 8 * 2], at) *
                 number(column.right[at / 8], at);
    }
  }
}

struct MatrixRow {
  const uint16_t* row;
};

inline void LoadMatrices(const uint16_t* row, uint32_t (&matrices)[4]) {
  SUBGEN_CHECK(reinterpret_cast<uintptr_t>(row) % 16 == 0);
  const emulation::Lanes<MatrixRow> lanes(MatrixRow{row});
  const int lane = emulation::Lane();
  for (int m = 0; m < 4; ++m) {
    const uint16_t* const from = lanes[8 * m + lane / 4].row + lane % 4 * 2;
    matrices[m] = from[0] | static_cast<uint32_t>(from[1]) << 16;
  }
}

inline void LoadTransposes(const uint16_t* row, uint32_t (&matrices)[4]) {
  SUBGEN_CHECK(reinterpret_cast<uintptr_t>(row) % 16 == 0);
  const emulation::Lanes<MatrixRow> lanes(MatrixRow{row});
  const int lane = emulation::Lane();
  for (int m = 0; m < 4; ++m) {
    const int first = 8 * m + lane % 4 * 2;
    matrices[m] = lanes[first].row[lane / 4] |
                  static_cast<uint32_t>(lanes[first + 1].row[lane / 4]) << 16;
  }
}

}  // namespace subgen::cuda
