#include "launch/bench/filled_cache.h"

#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <string>
#include <utility>

#include "engine/cache/forwarding_policy.h"
#include "engine/cache/step_work.h"
#include "kernels/base/status_macros.h"
#include "launch/bench/synthetic_rows.h"

namespace subgen {
namespace {

using Clock = StepClock::Clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// A snapshot keeps bytes in an anonymous file.
class Snapshot {
 public:
  Snapshot() = default;
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;
  ~Snapshot() {
    if (file_ >= 0) close(file_);
  }

  bool taken() const { return file_ >= 0; }
  void Take(const std::string& bytes) {
    file_ = memfd_create("snapshot", MFD_CLOEXEC);
    SUBGEN_CHECK(file_ >= 0, "memfd_create: ", std::strerror(errno));
    size_ = bytes.size();
    for (size_t at = 0; at < size_;) {
      const ssize_t written = pwrite(file_, &bytes[at], size_ - at, at);
      SUBGEN_CHECK(written > 0, "a snapshot of ", size_,
                   " bytes: ", std::strerror(errno));
      at += written;
    }
  }
  std::string Bytes() const {
    std::string bytes(size_, ' ');
    for (size_t at = 0; at < size_;) {
      const ssize_t read = pread(file_, &bytes[at], size_ - at, at);
      SUBGEN_CHECK(read > 0, "a snapshot: ", std::strerror(errno));
      at += read;
    }
    return bytes;
  }

 private:
  int file_ = -1;
  size_t size_ = 0;
};

// Gives freed memory back, so that resident memory is what is in use. One rank
// does so at a time: glibc's malloc, which a sanitizer leaves unstarted, starts
// here, and two threads that start it at once ruin it.
void ReturnFreedMemory() {
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  malloc_trim(0);
}

}  // namespace

class FilledPolicy final : public ForwardingPolicy {
 public:
  FilledPolicy(FilledCache& cache, const CacheShape& shape, Backend& backend,
               std::unique_ptr<CachePolicy> inner)
      : ForwardingPolicy(std::move(inner)),
        cache_(cache),
        shape_(shape),
        backend_(backend) {}

  const CacheShape& shape() const { return shape_; }

  void Attend(const LayerStep& step, const SoftmaxPartials& out) override {
    StepClock& clock = cache_.clock_;
    if (std::exchange(at_start_, false) && shape_.layer == 0) clock.BeginLap();
    StartPart();
    communication_ = clock.communication_seconds();
    inner().Attend(step, out);
  }
  // The clock needs the call when it times parts, whatever the policy inside
  // asks for.
  Needs needs() const override {
    const Needs mine =
        cache_.clock_.in_parts() ? Needs::kScores : Needs::kNothing;
    return std::max(mine, ForwardingPolicy::needs());
  }
  // The merge over ranks lies between Attend and Observe.
  void Observe(const LayerStep& step,
               Vector<const float> log_partition) override {
    StepClock& clock = cache_.clock_;
    if (clock.in_parts()) {
      const double spent = EndPart();
      clock.AddAttention(spent -
                         (clock.communication_seconds() - communication_));
      StartPart();
    }
    if (ForwardingPolicy::needs() != Needs::kNothing) {
      inner().Observe(step, log_partition);
    }
  }
  void Append(const LayerStep& step) override {
    inner().Append(step);
    if (cache_.clock_.in_parts()) cache_.clock_.AddUpdate(EndPart());
    const Chunk& chunk = step.chunks[0];
    filled_ |= chunk.position + chunk.count == cache_.depth_;
  }
  void EndStep() override {
    const bool in_parts = cache_.clock_.in_parts();
    if (in_parts) StartPart();
    inner().EndStep();
    if (in_parts) cache_.clock_.AddUpdate(EndPart());
    if (filled_ && !snapshot_.taken()) {
      snapshot_.Take(inner().Save(0));
      ReturnFreedMemory();
    }
  }
  void Forget(int slot) override {
    cache_.clock_.EndLap();
    at_start_ = true;
    inner().Forget(slot);
    if (!snapshot_.taken()) return;
    const absl::Status loaded = inner().Load(slot, snapshot_.Bytes());
    SUBGEN_CHECK(loaded.ok(), loaded.ToString());
    ReturnFreedMemory();
  }

 private:
  // A part of a step is timed with all that a device has to do for it and
  // nothing else.
  void StartPart() {
    if (cache_.clock_.in_parts()) backend_.Wait();
    start_ = Clock::now();
  }
  double EndPart() {
    backend_.Wait();
    return SecondsSince(start_);
  }

  FilledCache& cache_;
  const CacheShape shape_;
  Backend& backend_;
  Snapshot snapshot_;
  bool filled_ = false;  // to the depth that is measured
  bool at_start_ = false;
  Clock::time_point start_ = Clock::now();
  double communication_ = 0.0;
};

PolicyFactory FilledCache::Factory() {
  return
      [this](const CacheConfig& config, const CacheShape& shape,
             StepWork& work) -> absl::StatusOr<std::unique_ptr<CachePolicy>> {
        ASSIGN_OR_RETURN(auto inner, MakeCachePolicy(config, shape, work));
        auto policy = std::make_unique<FilledPolicy>(
            *this, shape, work.backend(), std::move(inner));
        policies_.push_back(policy.get());
        return policy;
      };
}

void FilledCache::FillSynthetically(
    int64_t chunk, uint64_t seed,
    const std::function<void(int64_t done, int64_t total)>& on_layer) {
  const SyntheticRows rows(seed);
  SyntheticStream stream(rows, chunk);
  on_layer(0, policies_.size());
  for (size_t layer = 0; layer < policies_.size(); ++layer) {
    stream.Run(policies_[layer]->shape(), depth_, policies_[layer]);
    on_layer(layer + 1, policies_.size());
  }
}

}  // namespace subgen
