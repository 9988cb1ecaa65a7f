// This is linked if the build has no CUDA toolkit or no NCCL headers.
#include "absl/status/status.h"
#include "comm/nccl/nccl_ranks.h"

namespace subgen {

absl::StatusOr<std::unique_ptr<Communicator>> MakeNcclRanks(
    std::unique_ptr<Communicator>, const NcclOptions&) {
  return absl::FailedPreconditionError(
      "comm 'nccl': this build has none; build it where the CUDA toolkit and "
      "nccl.h are installed");
}

}  // namespace subgen
