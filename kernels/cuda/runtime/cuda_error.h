// Checks for errors of the CUDA runtime. A failed call is a lost device or a
// bug: Fatal, which ends the job.
#pragma once

#include <cuda_runtime_api.h>

#include "kernels/base/check.h"

namespace subgen::cuda {

inline void CheckCuda(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  int device = -1;
  cudaGetDevice(&device);
  Fatal(absl::StrCat("CUDA device ", device, ": ", what, ": ",
                     cudaGetErrorName(error), ", ", cudaGetErrorString(error)));
}

}  // namespace subgen::cuda
