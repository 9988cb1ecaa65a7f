// This stands in place of kernels/cuda/device/async_copy.h, whose instruction
// the host lacks.
#pragma once

#include <cuda_pipeline_primitives.h>

#include <cstdint>

namespace subgen::cuda {

inline constexpr int kCopyBytes = 16;

inline void CopyAsync(const uint8_t* from, int bytes, uint8_t* to) {
  emulation::CopyLater(to, from, kCopyBytes, kCopyBytes - bytes);
}

}  // namespace subgen::cuda
