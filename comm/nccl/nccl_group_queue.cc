// These collectives are commands of a device's queue.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "comm/nccl/nccl_group.h"

namespace subgen {

void NcclGroup::Look(Clock::time_point start) {
  ncclResult_t state = ncclSuccess;
  nccl_.CommGetAsyncError(comm_, &state);
  const bool failed = state != ncclSuccess && state != ncclInProgress;
  if (!failed && !Late(start)) return;
  const std::string cause = failed ? Words(state) : LateWords();
  // It ends without CommAbort, which may wait for the graphs that NCCL is in.
  Fatal(absl::StrCat(who_, ": NCCL, up to call ", calls_, ": ", cause));
}

std::string NcclGroup::PutCommand(const std::byte* at, cudaStream_t stream) {
  auto* const group = cuda::TakeValue<NcclGroup*>(&at);
  cuda::TakeValue<int64_t>(&at);  // its number
  const Call call = cuda::TakeValue<Call>(&at);
  const std::string cause =
      group->Settle(group->Put(call, stream), Clock::now());
  if (cause.empty()) return "";
  return absl::StrCat(group->who_, ": NCCL, up to call ", group->calls_, ": ",
                      cause);
}

void NcclGroup::Append(cuda::Queue* queue, const Call& call) {
  ++calls_;
  queue_ = queue;
  queue->Watch(this);
  queue->Append(PutCommand, this, number_, call);
}

void NcclGroup::AllReduce(cuda::Staging* staging, Vector<float> data,
                          ReduceOp op) {
  cuda::Operation operation(staging);
  float* const numbers = operation.InOut(data);
  const Collective collective =
      op == ReduceOp::kSum ? Collective::kSum : Collective::kMax;
  Append(staging->queue(),
         {collective, numbers, numbers, static_cast<int64_t>(data.size())});
}

// NCCL gathers the same number of floats from each rank. If counts differ, each
// rank hands in as many as the largest.
void NcclGroup::AllGather(cuda::Staging* staging, Vector<const float> mine,
                          Vector<const int> counts, Vector<float> all) {
  cuda::Operation operation(staging);
  cuda::Queue* const queue = staging->queue();
  const int64_t ranks = counts.size();
  const int64_t each = *std::max_element(counts.begin(), counts.end());
  const float* in = operation.In(mine);
  float* const out = operation.Out(all);
  if (each * ranks == static_cast<int64_t>(all.size())) {
    Append(queue, {Collective::kGather, in, out, each});
    return;
  }
  const auto copy = [queue](float* to, const float* from, int64_t numbers) {
    if (numbers == 0) return;
    queue->Copy(to, from, numbers * sizeof(float), cudaMemcpyDeviceToDevice);
  };
  float* const padded = operation.Scratch(each);
  float* const gathered = operation.Scratch(each * ranks);
  copy(padded, in, mine.size());
  Append(queue, {Collective::kGather, padded, gathered, each});
  int64_t to = 0;
  for (int64_t rank = 0; rank < ranks; ++rank) {
    copy(out + to, gathered + rank * each, counts[rank]);
    to += counts[rank];
  }
}

}  // namespace subgen
