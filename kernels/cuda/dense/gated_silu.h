// Computes a gated number, for the kernels of this folder.
#pragma once

#include <cuda_runtime.h>

namespace subgen::cuda {

__device__ __forceinline__ float GatedSiluOf(float up, float gate) {
  return gate / (1.0f + expf(-gate)) * up;
}

}  // namespace subgen::cuda
