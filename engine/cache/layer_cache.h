// The cache of one layer keeps sinks and recent tokens exact, and a sketch of
// what left the window. Policies differ in the sketch that they make.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/cache/cache_policy.h"
#include "engine/cache/policy_entry.h"
#include "engine/cache/rows/leaving_tokens.h"
#include "engine/cache/slot.h"
#include "engine/cache/step_work.h"

namespace subgen {

class LayerCache final : public CachePolicy {
 public:
  // The setup must have been checked (PlanCache, PolicyEntry::check). The entry
  // and the work outlive the cache.
  LayerCache(const PolicyEntry& entry, const PolicySetup& setup,
             StepWork& work);
  // Runs what waits, so that no work of this layer is left in `work`.
  ~LayerCache() override { RunWork(); }

  Needs needs() const override {
    return plan_.make_sketch ? entry_.needs : Needs::kNothing;
  }
  int64_t Dropped(int slot) const override;
  void Attend(const LayerStep& step, const SoftmaxPartials& out) override;
  void Observe(const LayerStep& step,
               Vector<const float> log_partition) override;
  void Append(const LayerStep& step) override;
  void EndStep() override;
  void Forget(int slot) override;
  CacheStats Stats(int slot) const override;
  std::string Save(int slot) const override;
  absl::Status Load(int slot, absl::string_view saved) override;

 private:
  // Is fatal where work of a step still waits.
  void CheckStepEnded() const;
  Slot& SlotOf(const Chunk& chunk);

  // Adds tasks over the past rows of a chunk and head, beside the one inside
  // the chunk.
  static void AddTasks(Matrix<const float> queries,
                       const std::vector<WeightedRows>& past,
                       const AttentionTask& inside,
                       std::vector<AttentionTask>* tasks);

  // Adds tasks for the past rows of a head; `task` has its queries.
  void AddPastMass(AttentionMassTask task, Slot* slot, int head,
                   std::vector<AttentionMassTask>* tasks) const;
  void AddUpScores(const LayerStep& step, Vector<const float> log_partition);

  void AppendChunk(const LayerStep& step, const Chunk& chunk, Slot* slot);
  // Moves what is not recent before `next_position` on to the sketch.
  void Evict(int64_t next_position, Slot* slot);
  // Adds the token that leaves the window next.
  void AddFront(const Window& window, LeavingBatch* leaving);
  // Sets new limits where the next token that leaves the window brings them.
  void SetLimits(Slot* slot);
  // Puts the tokens that left the window into the sketch, or lets them wait for
  // the end of the step.
  void Flush(Slot* slot);
  // Runs what waits, of all layers.
  void RunWork();
  // Brings a slot that is whole down to the budget.
  void Compress(Slot* slot);

  const PolicyEntry& entry_;
  SlotPlan plan_;
  Backend& backend_;
  StepWork& work_;
  std::vector<Slot> slots_;
  RowMoves moves_;
  // Holds the tokens of all slots, one slot after another, of which the first
  // `flushed_` were flushed. There is none where there is no sketch.
  std::optional<LeavingBatch> leaving_;
  int64_t flushed_ = 0;
  bool waits_ = false;  // work of this layer
  // Holds the attention that the tokens of this step received in it, laid out
  // as the step's keys, from Observe to Append.
  Buffer<float> step_scores_;
  bool has_step_scores_ = false;
};

}  // namespace subgen
