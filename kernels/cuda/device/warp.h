// Computes sums and maxima over the threads of a warp, the same bits in each of
// them.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "kernels/cuda/device/numbers.h"

namespace subgen::cuda {

inline constexpr int kWarp = 32;
inline constexpr unsigned kAllLanes = 0xffffffffu;

// These work over groups of `width` neighboring lanes, a power of two.
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

// Returns a key that is ordered as numbers without a sign are, with NaN above
// all, and for equal numbers by place.
__device__ __forceinline__ uint64_t LeastKey(float number, int place) {
  return static_cast<uint64_t>(BitsOf(number) & 0x7fffffffu) << 32 |
         static_cast<uint32_t>(place);
}

// Returns the least over a block of so many threads. of_warps: shared, one per
// warp.
template <int kThreads>
__device__ uint64_t BlockLeast(uint64_t least, uint64_t* of_warps) {
  for (int mask = 1; mask < kWarp; mask *= 2) {
    const uint64_t other = __shfl_xor_sync(kAllLanes, least, mask);
    least = other < least ? other : least;
  }
  if (threadIdx.x % kWarp == 0) of_warps[threadIdx.x / kWarp] = least;
  __syncthreads();
  for (int warp = 0; warp < kThreads / kWarp; ++warp) {
    least = of_warps[warp] < least ? of_warps[warp] : least;
  }
  __syncthreads();
  return least;
}

}  // namespace subgen::cuda
