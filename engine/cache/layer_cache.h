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
#include "kernels/memory/hadamard.h"

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
  // Returns how many tokens between the sinks and the recent ones were dropped,
  // where there is no sketch.
  int64_t Dropped(const Slot& slot) const;

  // Adds tasks over the past rows of a chunk and head, beside the one inside
  // the chunk.
  static void AddTasks(Matrix<const float> queries,
                       const std::vector<WeightedRows>& past,
                       const AttentionTask& inside,
                       std::vector<AttentionTask>* tasks);
  // Returns what sinks are attended to with: the queries as if each had been
  // asked as many positions earlier as tokens of its sequence were dropped
  // (StreamingLLM, arXiv 2309.17453, section 3.2). These are the step's own
  // queries where nothing was dropped.
  Matrix<const float> RotatedQueries(const LayerStep& step);
  // Sets by how many positions queries go back. Returns how many rows that
  // follow one another do so alike: all of a single sequence, else the query
  // heads of a token. Tokens of no chunk are those that another policy is
  // shown; they stay.
  int64_t PlanRotations(const LayerStep& step);

  // Adds tasks for the past rows of a head; `task` has its queries.
  void AddPastMass(AttentionMassTask task, Slot* slot, int head,
                   std::vector<AttentionMassTask>* tasks) const;
  void AddUpScores(const LayerStep& step, Vector<const float> log_partition);

  void AppendChunk(const LayerStep& step, const Chunk& chunk, Slot* slot);
  // Moves what is not recent before `next_position` on to the sketch.
  void Evict(int64_t next_position, Slot* slot);
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
  std::optional<HadamardTransform> transform_;  // of queries, keys and values
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
  Buffer<float> rotated_queries_;
  std::vector<int64_t> rotations_;  // positions, of the rows of a rotation
};

}  // namespace subgen
