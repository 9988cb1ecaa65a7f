// These are for kernels with one thread per element of a matrix.
#pragma once

#include "kernels/cuda/runtime/launch.h"

namespace subgen::cuda {

inline constexpr int kElementThreads = 256;

inline LaunchShape ElementWise(int64_t elements) {
  return {CeilDivide(elements, kElementThreads), kElementThreads};
}

// Returns this thread's element, which may lie beyond the last.
__device__ __forceinline__ int64_t Element() {
  return static_cast<int64_t>(blockIdx.x) * kElementThreads + threadIdx.x;
}

}  // namespace subgen::cuda
