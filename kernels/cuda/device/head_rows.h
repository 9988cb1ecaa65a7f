// Says where heads lie (kernels/heads.h), for kernels.
#pragma once

#include <cuda_runtime.h>

#include "kernels/heads.h"

namespace subgen::cuda {

__device__ __forceinline__ int64_t HeadMajorRow(const HeadLayout& layout,
                                                int64_t head, int64_t token) {
  return (head / layout.group * layout.tokens + token) * layout.group +
         head % layout.group;
}

}  // namespace subgen::cuda
