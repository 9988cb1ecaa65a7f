// Copies to shared memory as many bytes as are there; the intrinsics take that
// number as a constant only. Copies belong to the groups of
// cuda_pipeline_primitives.h.
#pragma once

#include <cuda_pipeline_primitives.h>

#include <cstdint>

namespace subgen::cuda {

inline constexpr int kCopyBytes = 16;  // from and to multiples of as many

// Copies the first `bytes` of 16, and zeros for the others.
__device__ __forceinline__ void CopyAsync(const uint8_t* from, int bytes,
                                          uint8_t* to) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
               :
               : "r"(static_cast<uint32_t>(__cvta_generic_to_shared(to))),
                 "l"(__cvta_generic_to_global(from)), "r"(bytes)
               : "memory");
}

}  // namespace subgen::cuda
