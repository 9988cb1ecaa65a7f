// A group is one NCCL communicator. It does collectives on host numbers, over a
// stream and memory of its own, and appends others to a device's queue.
#pragma once

#include <chrono>
#include <string>

#include "comm/communicator.h"
#include "comm/nccl/nccl_library.h"
#include "comm/nccl/nccl_ranks.h"
#include "kernels/cuda/runtime/staging.h"

namespace subgen {

// So many host numbers (16 MB) go through the device at once.
inline constexpr int64_t kNcclPiece = int64_t{1} << 22;

class NcclGroup final : public cuda::CommandWatcher {
 public:
  // Allocates this rank's stream and memory, then starts NCCL with the same id
  // on all of `ranks`. An error of one rank is that of all. Collective.
  static absl::StatusOr<std::unique_ptr<NcclGroup>> Make(
      const NcclLibrary& nccl, const NcclOptions& options,
      const ncclUniqueId& id, Communicator& ranks);
  ~NcclGroup() override;
  NcclGroup(const NcclGroup&) = delete;

  // These are Communicator's collectives, but `all` holds the same number of
  // floats from each rank. `data` and `all` have at most kNcclPiece numbers.
  void AllReduce(Vector<float> data, ReduceOp op);
  void AllGather(Vector<const float> mine, Vector<float> all);

  // These are Communicator's collectives for any size, appended to a queue of
  // the same device.
  void AllReduce(cuda::Staging* staging, Vector<float> data, ReduceOp op);
  void AllGather(cuda::Staging* staging, Vector<const float> mine,
                 Vector<const int> counts, Vector<float> all);
  void Look(std::chrono::steady_clock::time_point start) override;
  void Done() override { queue_ = nullptr; }

  int device() const { return options_.device; }

 private:
  enum class Collective : int64_t { kSum, kMax, kGather };
  NcclGroup(const NcclLibrary& nccl, const NcclOptions& options,
            std::string who)
      : nccl_(nccl), options_(options), who_(std::move(who)) {}

  struct Call {
    Collective collective;
    const float* in;
    float* out;
    int64_t numbers;  // from each rank
  };
  ncclResult_t Put(const Call& call, cudaStream_t stream) const;
  void Append(cuda::Queue* queue, const Call& call);
  // Puts a call that was appended before on the stream.
  static std::string PutCommand(const std::byte* at, cudaStream_t stream);

  static int64_t NextNumber();
  using Clock = std::chrono::steady_clock;
  absl::Status Allocate();
  absl::Status Start(const ncclUniqueId& id, const Communicator& ranks);
  // Waits until NCCL no longer says "in progress", and returns what it says
  // then, or in words that the deadline has passed. The text is empty if all is
  // well.
  std::string Settle(ncclResult_t result, Clock::time_point start) const;
  bool Late(Clock::time_point start) const;
  std::string Words(ncclResult_t result) const;
  std::string LateWords() const;
  // Puts the collective on the stream between two copies and waits for it.
  void Run(Collective collective, Vector<const float> in, Vector<float> out);
  // Ends the job with a message.
  [[noreturn]] void Fail(const std::string& what, const std::string& cause);

  const NcclLibrary nccl_;
  const NcclOptions options_;
  const std::string who_;
  // Only this object of the process has this number, so that a graph that was
  // captured in another one is never taken for a graph of this one.
  const int64_t number_ = NextNumber();
  ncclComm_t comm_ = nullptr;
  cudaStream_t stream_ = nullptr;
  cuda::DeviceMemory device_;     // [2, kNcclPiece] in and out
  cuda::PinnedMemory pinned_;     // the same
  cuda::Queue* queue_ = nullptr;  // where calls of this group wait
  int64_t calls_ = 0;
};

}  // namespace subgen
