// These are the two ways of computing the Linears of dense.h.
#pragma once

#include "kernels/cuda/dense/dense.h"
#include "kernels/memory/view.h"
#include "kernels/quant/block_format.h"

namespace subgen::cuda {

class Queue;

// These are the blocks of a weight on the device, in the format of the kernel.
struct WeightBlocks {
  const uint8_t* data = nullptr;
  int64_t rows = 0, cols = 0, row_stride = 0;

  explicit WeightBlocks(const WeightMatrix& weight)
      : data(reinterpret_cast<const uint8_t*>(weight.data)),
        rows(weight.rows),
        cols(weight.cols),
        row_stride(weight.row_stride) {}
  WeightBlocks() = default;
};

// Multiplies; 1 <= input.rows <= kFewTokens. Neighboring products of one format
// share a launch.
void LinearsOfFewTokens(Queue* queue, Matrix<const float> input,
                        Vector<const DeviceProduct> products);
// Sets gate.output to GatedSilu of both products. The weights must have one
// format and shape.
void GatedLinearsOfFewTokens(Queue* queue, Matrix<const float> input,
                             const WeightMatrix& up, const DeviceProduct& gate);
void LinearOfManyTokens(Queue* queue, Matrix<const float> input,
                        const WeightMatrix& weight, Matrix<float> output);

// Calls `with` with the format as a template argument.
template <class With>
void WithBlockFormat(BlockFormat format, With with) {
  switch (format) {
    case BlockFormat::kF32:
      return with.template operator()<BlockFormat::kF32>();
    case BlockFormat::kF16:
      return with.template operator()<BlockFormat::kF16>();
    case BlockFormat::kBF16:
      return with.template operator()<BlockFormat::kBF16>();
    case BlockFormat::kQ4_0:
      return with.template operator()<BlockFormat::kQ4_0>();
    case BlockFormat::kQ4_1:
      return with.template operator()<BlockFormat::kQ4_1>();
    case BlockFormat::kQ5_0:
      return with.template operator()<BlockFormat::kQ5_0>();
    case BlockFormat::kQ5_1:
      return with.template operator()<BlockFormat::kQ5_1>();
    case BlockFormat::kQ8_0:
      return with.template operator()<BlockFormat::kQ8_0>();
    case BlockFormat::kQ4_K:
      return with.template operator()<BlockFormat::kQ4_K>();
    case BlockFormat::kQ5_K:
      return with.template operator()<BlockFormat::kQ5_K>();
    case BlockFormat::kQ6_K:
      return with.template operator()<BlockFormat::kQ6_K>();
    case BlockFormat::kIQ4_NL:
      return with.template operator()<BlockFormat::kIQ4_NL>();
    case BlockFormat::kIQ4_XS:
      return with.template operator()<BlockFormat::kIQ4_XS>();
  }
  Fatal("block format out of range");
}

}  // namespace subgen::cuda
