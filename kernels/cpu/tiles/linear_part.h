// This is a thread's part of a product.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/memory/view.h"
#include "kernels/quant/block_format.h"

namespace subgen::cpu {

// Says how products of a weight are taken on this machine.
enum class LinearKernel {
  kIntegerTiles,  // dot products of integers
  kFloatTiles,    // of 16-bit floats
  kExpanded,      // of float32, after a part of the weight is expanded
};

struct LinearPart {
  // So many columns are expanded at a time; it is a multiple of every block
  // size.
  static constexpr int64_t kLength = 512;

  Matrix<const float> input;
  const WeightMatrix* weight = nullptr;
  Matrix<float> output;
  int64_t first = 0;  // weight rows [first, first + count)
  int64_t count = 0;
  LinearKernel kernel = LinearKernel::kExpanded;
  const std::byte* tiles = nullptr;  // of the whole weight, where it is packed
};

}  // namespace subgen::cpu
