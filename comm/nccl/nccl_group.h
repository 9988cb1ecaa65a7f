// One NCCL communicator with its stream and the memory that host numbers go
// through.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "comm/communicator.h"
#include "comm/nccl/nccl_library.h"
#include "comm/nccl/nccl_ranks.h"
#include "kernels/cuda/device_memory.h"

namespace subgen {

// Host numbers that go through the device at once, 16 MB.
inline constexpr int64_t kNcclPiece = int64_t{1} << 22;

class NcclGroup {
 public:
  // This rank's stream and memory, then NCCL's start with the same id on all of
  // `ranks`; an error of one rank is that of all. Collective.
  static absl::StatusOr<std::unique_ptr<NcclGroup>> Make(
      const NcclLibrary& nccl, const NcclOptions& options,
      const ncclUniqueId& id, Communicator& ranks);
  ~NcclGroup();
  NcclGroup(const NcclGroup&) = delete;

  // As Communicator's; `all` holds each rank's `mine`, all of the same size. At
  // most kNcclPiece numbers in `data` and in `all`.
  void AllReduce(Vector<float> data, ReduceOp op);
  void AllGather(Vector<const float> mine, Vector<float> all);

 private:
  NcclGroup(const NcclLibrary& nccl, const NcclOptions& options,
            std::string who)
      : nccl_(nccl), options_(options), who_(std::move(who)) {}

  using Clock = std::chrono::steady_clock;
  absl::Status Allocate();
  absl::Status Start(const ncclUniqueId& id, const Communicator& ranks);
  // What NCCL says of the communicator, once it is no longer "in progress"; the
  // deadline's cause in words otherwise. Empty: all is well.
  std::string Settle(ncclResult_t result, Clock::time_point start) const;
  bool Late(Clock::time_point start) const;
  std::string Words(ncclResult_t result) const;
  // Puts the collective on the stream between two copies and waits for it.
  void Run(const std::string& what, Vector<const float> in, Vector<float> out,
           const std::function<ncclResult_t(float*, float*)>& collective);
  // Ends the job.
  [[noreturn]] void Fail(const std::string& what, const std::string& cause);

  const NcclLibrary nccl_;
  const NcclOptions options_;
  const std::string who_;
  ncclComm_t comm_ = nullptr;
  cudaStream_t stream_ = nullptr;
  cuda::DeviceMemory device_;  // [2, kNcclPiece] in and out
  cuda::PinnedMemory pinned_;  // the same
  int64_t calls_ = 0;
};

}  // namespace subgen
