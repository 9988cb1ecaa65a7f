// This file is linked where the build has no CUDA toolkit.
#include "absl/status/status.h"
#include "kernels/backend.h"

namespace subgen {

absl::StatusOr<std::unique_ptr<Backend>> MakeCudaBackend(int) {
  return absl::FailedPreconditionError(
      "backend 'cuda': this build has none; build it where the CUDA toolkit "
      "is installed (nvcc on PATH)");
}

}  // namespace subgen
