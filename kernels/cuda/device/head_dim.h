// The longest row of a key, value or query that kernels are compiled for.
#pragma once

namespace subgen::cuda {

inline constexpr int kMostHeadDim = 256;

}  // namespace subgen::cuda
