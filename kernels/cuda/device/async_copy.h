// Copies to shared memory of as many bytes as are there: what the intrinsics
// take as a constant only. They belong to the groups of
// cuda_pipeline_primitives.h.
#pragma once

#include <cuda_pipeline_primitives.h>

#include <cstdint>

namespace subgen::cuda {

inline constexpr int kCopyBytes = 16;  // from and to multiples of as many

// The first `bytes` of 16, zeros for the others.
__device__ __forceinline__ void CopyAsync(const uint8_t* from, int bytes,
                                          uint8_t* to) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
               :
               : "r"(static_cast<uint32_t>(__cvta_generic_to_shared(to))),
                 "l"(__cvta_generic_to_global(from)), "r"(bytes)
               : "memory");
}

}  // namespace subgen::cuda
