#include "kernels/cuda/runtime/device.h"

#include <cuda_runtime_api.h>

#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace subgen::cuda {
namespace {

absl::Status CannotUse(cudaError_t error) {
  int driver = 0, runtime = 0;
  cudaDriverGetVersion(&driver);
  cudaRuntimeGetVersion(&runtime);
  const std::string needed =
      absl::StrCat("CUDA ", runtime / 1000, ".", runtime % 1000 / 10);
  if (error == cudaErrorInsufficientDriver && driver == 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("no NVIDIA driver is installed here; "
                     "needed is one for ",
                     needed));
  }
  if (error == cudaErrorInsufficientDriver) {
    return absl::FailedPreconditionError(
        absl::StrCat("the NVIDIA driver here is for CUDA ", driver / 1000, ".",
                     driver % 1000 / 10, ", needed is one for ", needed));
  }
  return absl::FailedPreconditionError(
      absl::StrCat("no GPU to use: ", cudaGetErrorString(error)));
}

}  // namespace

absl::StatusOr<int> OpenDevice(int device) {
  int devices = 0;
  cudaError_t error = cudaGetDeviceCount(&devices);
  if (error == cudaSuccess && devices == 0) error = cudaErrorNoDevice;
  if (error != cudaSuccess) return CannotUse(error);
  if (device < 0 || device >= devices) {
    return absl::FailedPreconditionError(absl::StrCat(
        "there is no device ", device, ", this host has ", devices));
  }
  int processors = 0;
  error = cudaSetDevice(device);
  if (error == cudaSuccess) {
    error = cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount,
                                   device);
  }
  if (error != cudaSuccess) return CannotUse(error);
  return processors;
}

}  // namespace subgen::cuda
