// Sums and maxima over the threads of a warp, the same bits in each of them.
#pragma once

#include <cuda_runtime.h>

namespace subgen::cuda {

inline constexpr int kWarp = 32;
inline constexpr unsigned kAllLanes = 0xffffffffu;

// Over groups of `width` neighbouring lanes, a power of two.
template <class T>
__device__ __forceinline__ T GroupSum(T x, int width = kWarp) {
  for (int mask = 1; mask < width; mask *= 2) {
    x += __shfl_xor_sync(kAllLanes, x, mask);
  }
  return x;
}

__device__ __forceinline__ float GroupMax(float x, int width = kWarp) {
  for (int mask = 1; mask < width; mask *= 2) {
    x = fmaxf(x, __shfl_xor_sync(kAllLanes, x, mask));
  }
  return x;
}

}  // namespace subgen::cuda
