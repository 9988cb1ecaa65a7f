// The two ways of dense.h's Linear.
#pragma once

#include <cuda_runtime_api.h>

#include "kernels/memory/view.h"
#include "kernels/quant/block_format.h"

namespace subgen::cuda {

// 1 <= input.rows <= kFewTokens.
void LinearOfFewTokens(cudaStream_t stream, Matrix<const float> input,
                       const WeightMatrix& weight, Matrix<float> output);
void LinearOfManyTokens(cudaStream_t stream, Matrix<const float> input,
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
  }
  Fatal("block format out of range");
}

}  // namespace subgen::cuda
