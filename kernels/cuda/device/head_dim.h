// Kernels are compiled for rows of keys, values and queries up to this size.
#pragma once

namespace subgen::cuda {

inline constexpr int kMostHeadDim = 256;

}  // namespace subgen::cuda
