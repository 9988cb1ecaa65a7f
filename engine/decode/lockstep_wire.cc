#include "engine/decode/lockstep_wire.h"

#include <utility>
#include <vector>

#include "kernels/top_numbers.h"

namespace subgen {
namespace {

// Reads a number of things, at least `least`, of so many bytes each that are
// there.
bool GetCount(ByteReader& in, int64_t least, int64_t bytes, int64_t* count) {
  return in.Get(count).ok() && *count >= least && *count <= in.left() / bytes;
}

// These are the bits of a run's flags.
constexpr uint8_t kEndsPrompt = 1, kAllLogits = 2;

bool GetRun(ByteReader& in, BatchRun* run) {
  uint8_t flags = 0;
  int64_t count = 0;
  if (!in.Get(&run->slot).ok() || !in.Get(&run->position).ok() ||
      !in.Get(&flags).ok() || !GetCount(in, 1, sizeof(int), &count)) {
    return false;
  }
  run->ends_prompt = (flags & kEndsPrompt) != 0;
  run->all_logits = (flags & kAllLogits) != 0;
  run->tokens.resize(count);
  return in.GetAll(Vector<int>(run->tokens)).ok();
}

}  // namespace

void Encode(const Batch& batch, ByteWriter& out) {
  out.Put<int64_t>(std::ssize(batch));
  for (const BatchRun& run : batch) {
    out.Put(run.slot);
    out.Put(run.position);
    out.Put<uint8_t>((run.ends_prompt ? kEndsPrompt : 0) |
                     (run.all_logits ? kAllLogits : 0));
    out.Put<int64_t>(std::ssize(run.tokens));
    out.PutAll(Vector<const int>(run.tokens));
  }
}

absl::StatusOr<Batch> DecodeBatch(ByteReader& in) {
  const absl::Status damaged =
      absl::DataLossError("a step descriptor is damaged");
  int64_t runs = 0;
  if (!GetCount(in, 0, 1, &runs)) return damaged;
  Batch batch;
  for (int64_t i = 0; i < runs; ++i) {
    BatchRun run;
    if (!GetRun(in, &run)) return damaged;
    batch.push_back(std::move(run));
  }
  return batch;
}

void Encode(const TopRequest& request, ByteWriter& out) {
  out.Put(request.most);
  out.Put<int64_t>(std::ssize(request.scales));
  out.PutAll(Vector<const float>(request.scales));
}

absl::StatusOr<TopRequest> DecodeTopRequest(ByteReader& in) {
  const absl::Status damaged =
      absl::DataLossError("a request for logits is damaged");
  TopRequest request;
  int64_t count = 0;
  if (!in.Get(&request.most).ok() || request.most < 1 ||
      request.most > kMostTop || !GetCount(in, 0, sizeof(float), &count)) {
    return damaged;
  }
  request.scales.resize(count);
  if (!in.GetAll(Vector<float>(request.scales)).ok()) return damaged;
  return request;
}

}  // namespace subgen
