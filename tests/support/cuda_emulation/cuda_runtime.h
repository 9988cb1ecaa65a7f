// This makes device code host code (see README.md).
#pragma once

#include <cuda_runtime_api.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <functional>
#include <tuple>
#include <utility>

using std::isfinite;

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __shared__ static thread_local

struct uint2 {
  unsigned x, y;
};
struct alignas(8) float2 {
  float x, y;
};
struct uint3 {
  unsigned x, y, z;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

// These are of the thread that runs now.
extern thread_local uint3 threadIdx, blockIdx;
extern thread_local dim3 blockDim, gridDim;

namespace subgen::emulation {

void Launch(dim3 grid, dim3 block, const std::function<void()>& thread);
void WarpBarrier();
struct LaneBytes {
  std::byte bytes[24];
};
// Returns the bytes of all lanes of the warp, every one of which calls it. They
// are good until the call after the next.
const LaneBytes* Exchange(const LaneBytes& bytes);
int Lane();

// This is a value of each lane.
template <class T>
class Lanes {
 public:
  explicit Lanes(const T& own) {
    static_assert(sizeof(T) <= sizeof(LaneBytes));
    LaneBytes bytes = {};
    std::memcpy(&bytes, &own, sizeof(T));
    all_ = Exchange(bytes);
  }
  T operator[](int lane) const {
    T value;
    std::memcpy(&value, &all_[lane & 31], sizeof(T));
    return value;
  }

 private:
  const LaneBytes* all_;
};

}  // namespace subgen::emulation

void __syncthreads();
inline void __syncwarp(unsigned = 0xffffffffu) {
  subgen::emulation::WarpBarrier();
}
template <class T>
T __shfl_xor_sync(unsigned, T value, int mask) {
  return subgen::emulation::Lanes<T>(value)[subgen::emulation::Lane() ^ mask];
}
template <class T>
T __shfl_sync(unsigned, T value, int source) {
  return subgen::emulation::Lanes<T>(value)[source];
}
inline int __any_sync(unsigned, int predicate) {
  const subgen::emulation::Lanes<int> lanes(predicate);
  int any = 0;
  for (int lane = 0; lane < 32; ++lane) any |= lanes[lane];
  return any;
}
inline float __expf(float x) { return std::exp(x); }
inline float __uint_as_float(unsigned bits) {
  return std::bit_cast<float>(bits);
}
inline unsigned __float_as_uint(float x) { return std::bit_cast<unsigned>(x); }

struct cudaLaunchConfig_t {
  dim3 gridDim, blockDim;
  size_t dynamicSmemBytes = 0;
  cudaStream_t stream = nullptr;
  void* attrs = nullptr;
  unsigned numAttrs = 0;
};

template <class... Parameters, class... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config,
                               void (*kernel)(Parameters...),
                               Arguments&&... arguments) {
  if (config->gridDim.x == 0 || config->blockDim.x == 0 ||
      config->gridDim.y > 65535 || config->blockDim.x > 1024) {
    return cudaErrorInvalidValue;
  }
  subgen::emulation::Enqueue(
      config->stream, subgen::emulation::Work::kKernel,
      [kernel, grid = config->gridDim, block = config->blockDim,
       copies = std::tuple<Parameters...>(arguments...)] {
        subgen::emulation::Launch(grid, block,
                                  [&] { std::apply(kernel, copies); });
      });
  return cudaSuccess;
}
