// Starting kernels, and errors of the CUDA runtime. A failed call is a lost
// device or a bug: Fatal, which ends the job.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <utility>

#include "kernels/base/check.h"

namespace subgen::cuda {

inline void CheckCuda(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  int device = -1;
  cudaGetDevice(&device);
  Fatal(absl::StrCat("CUDA device ", device, ": ", what, ": ",
                     cudaGetErrorName(error), ", ", cudaGetErrorString(error)));
}

// Blocks of a grid (0: nothing is started) and threads of a block.
struct LaunchShape {
  int64_t blocks = 0;
  int threads = 0;
};

inline int64_t CeilDivide(int64_t a, int64_t b) { return (a + b - 1) / b; }

// One after another on the stream.
template <class... Parameters, class... Arguments>
void Launch(cudaStream_t stream, LaunchShape shape,
            void (*kernel)(Parameters...), Arguments&&... arguments) {
  if (shape.blocks == 0) return;
  SUBGEN_CHECK(shape.blocks > 0 && shape.blocks <= 0x7fffffff, shape.blocks);
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(static_cast<unsigned>(shape.blocks));
  config.blockDim = dim3(shape.threads);
  config.stream = stream;
  CheckCuda(cudaLaunchKernelEx(&config, kernel,
                               std::forward<Arguments>(arguments)...),
            "kernel launch");
}

}  // namespace subgen::cuda
