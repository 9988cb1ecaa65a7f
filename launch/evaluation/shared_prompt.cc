#include "launch/evaluation/shared_prompt.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "engine/cache/budget.h"
#include "kernels/base/status_macros.h"

namespace subgen {
namespace {

class SharedPromptPolicy final : public CachePolicy {
 public:
  explicit SharedPromptPolicy(
      std::vector<std::unique_ptr<CachePolicy>> subjects)
      : subjects_(std::move(subjects)) {}

  void Attend(const LayerStep& step, const SoftmaxPartials& out) override {
    if (!ended_) {
      subjects_[0]->Attend(step, out);
      return;
    }
    ForEachChunk(step, [&](CachePolicy& subject, const LayerStep& own) {
      subject.Attend(own, out);
    });
  }
  Needs needs() const override {
    Needs most = Needs::kNothing;
    for (const auto& subject : subjects_) {
      most = std::max(most, subject->needs());
    }
    return most;
  }
  void Observe(const LayerStep& step,
               Vector<const float> log_partition) override {
    ForEachChunk(step, [&](CachePolicy& subject, const LayerStep& own) {
      subject.Observe(own, log_partition);
    });
  }
  void Append(const LayerStep& step) override {
    ForEachChunk(step, [&](CachePolicy& subject, const LayerStep& own) {
      subject.Append(own);
    });
    for (const Chunk& chunk : step.chunks) ended_ |= chunk.ends_prompt;
  }
  // While the prompt is read every policy holds all of it.
  int64_t Dropped(int slot) const override {
    return ended_ ? subjects_.at(slot)->Dropped(0) : 0;
  }
  void EndStep() override {
    for (const auto& subject : subjects_) subject->EndStep();
  }
  // The next prompt begins where slot 0 is forgotten.
  void Forget(int slot) override {
    if (slot == 0) ended_ = false;
    subjects_.at(slot)->Forget(0);
  }
  CacheStats Stats(int slot) const override {
    return subjects_.at(slot)->Stats(0);
  }
  std::string Save(int slot) const override {
    return subjects_.at(slot)->Save(0);
  }
  absl::Status Load(int, absl::string_view) override {
    return absl::UnimplementedError("a measured cache cannot be resumed");
  }

 private:
  // Calls visit(policy, its part of the step, in its slot 0).
  template <class Visit>
  void ForEachChunk(const LayerStep& step, Visit visit) {
    if (!ended_) {
      SUBGEN_CHECK(step.chunks.size() == 1 && step.chunks[0].slot == 0);
      for (const auto& subject : subjects_) visit(*subject, step);
      return;
    }
    for (Chunk chunk : step.chunks) {
      CachePolicy& subject = *subjects_.at(chunk.slot);
      chunk.slot = 0;
      LayerStep own = step;
      own.chunks = {&chunk, 1};
      visit(subject, own);
    }
  }

  std::vector<std::unique_ptr<CachePolicy>> subjects_;
  bool ended_ = false;  // the prompt
};

}  // namespace

PolicyFactory SharePrompt(std::vector<CacheConfig> subjects) {
  return [subjects = std::move(subjects)](
             const CacheConfig&, CacheShape shape,
             StepWork& work) -> absl::StatusOr<std::unique_ptr<CachePolicy>> {
    std::vector<std::unique_ptr<CachePolicy>> policies;
    const std::vector<HeadShares> shares = std::move(shape.head_shares);
    shape.slots = 1;
    for (const CacheConfig& subject : subjects) {
      shape.head_shares.clear();
      if (SharesBySpread(subject)) shape.head_shares = shares;
      ASSIGN_OR_RETURN(policies.emplace_back(),
                       MakeCachePolicy(subject, shape, work));
    }
    return std::make_unique<SharedPromptPolicy>(std::move(policies));
  };
}

}  // namespace subgen
