// The one cache policy: sinks and recent tokens exact, and a sketch of what
// left the window. Policies differ in the sketch that they make.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/cache/budget.h"
#include "engine/cache/cache_policy.h"
#include "engine/cache/leaving_batch.h"
#include "engine/cache/recent_window.h"
#include "engine/cache/sink_rotation.h"
#include "engine/cache/sketch.h"
#include "engine/cache/sketch_queue.h"
#include "kernels/memory/hadamard.h"

namespace subgen {

struct SketchPolicyOptions {
  std::string fingerprint;  // what must agree for Load
  CacheShape shape;
  CachePlan plan;
  uint64_t seed = 0;
  bool once = false;           // the prompt is kept whole until it ends
  bool reindex_sinks = false;  // sink_rotation.h
  std::optional<HadamardTransform> transform;  // of keys, before they came here
  bool reads_queries = false;                  // sketches learn from queries
  // Sketches leave their tokens to the backend (AddTasks), nothing else;
  // of a whole step and all layers at once where the shape has a queue.
  bool leaves_tokens = false;
  // Where empty, what leaves the window is dropped. With plan.window.scored,
  // sketches learn from attention.
  std::function<std::unique_ptr<Sketch>(const SketchPlace&)> make_sketch;
};

class SketchPolicy final : public CachePolicy {
 public:
  SketchPolicy(SketchPolicyOptions options, Backend& backend);
  ~SketchPolicy() override { Settle(); }

  void Attend(const LayerStep& step, const SoftmaxPartials& out) override;
  bool Observes() const override {
    return options_.reads_queries || options_.plan.window.scored;
  }
  bool ReadsQueries() const override { return options_.reads_queries; }
  void Observe(const LayerStep& step,
               Vector<const float> log_partition) override;
  void Append(const LayerStep& step) override;
  void EndStep() override { Settle(); }
  void Forget(int slot) override;
  CacheStats Stats(int slot) const override;
  std::string Save(int slot) const override;
  absl::Status Load(int slot, absl::string_view saved) override;

 private:
  struct Head {
    RecentWindow window;
    std::unique_ptr<Sketch> sketch;  // may be null
  };
  struct Slot {
    int64_t next_position = 0;
    bool whole = false;       // windows hold every token, sketches none
    std::vector<Head> heads;  // empty before the first token
  };
  Slot NewSlot(bool whole) const;
  Slot& SlotOf(const Chunk& chunk);
  static void AddRowsOf(const Head& head, std::vector<WeightedRows>* rows);
  // The same rows with the sinks rotated, as floats; `rotated` is where these
  // lie.
  void AddReindexedRows(const Head& head, const SinkRotation& rotation,
                        std::vector<float>* rotated,
                        std::vector<WeightedRows>* rows) const;
  // Attention over the packed rows of sketches, a piece at a time.
  void AttendPacked(const LayerStep& step, const SoftmaxPartials& out) const;
  void AttendPiece(const LayerStep& step, const Chunk& chunk, int64_t first,
                   const SoftmaxPartials& out) const;
  int64_t Dropped(const Slot& slot) const;  // tokens, where there is no sketch
  // Lets every sketch see the queries of its head.
  void ShowQueries(const LayerStep& step, Vector<const float> log_partition);
  // Adds tasks for the past rows of a head; `task` has its queries.
  void AddPastMass(AttentionMassTask task, Head* head,
                   std::vector<AttentionMassTask>* tasks) const;
  void AppendChunk(const LayerStep& step, const Chunk& chunk, Slot* slot);
  // Moves what is not recent before `next_position` on to the sketches.
  void Evict(int64_t next_position, Slot* slot);
  // Where the next token that leaves the windows brings new limits.
  void SetLimits(Slot* slot);
  // The tokens that left the windows go into the sketches, or into the queue.
  void Flush(Slot* slot);
  // If any of its work is in the queue, runs it.
  void Settle();
  // Brings a slot that is whole down to the budget.
  void Compress(Slot* slot);
  absl::Status LoadSlot(absl::string_view saved, Slot* slot) const;

  SketchPolicyOptions options_;
  Backend& backend_;
  std::vector<Slot> slots_;
  RowMoves moves_;
  // Of each head, all of the same tokens; the first so many were flushed.
  std::vector<LeavingBatch> leaving_;
  int64_t flushed_ = 0;
  SketchQueue own_queue_;
  SketchQueue* queue_;  // the shape's, or its own
  size_t round_ = 0;    // of the queue, where the next tokens go
  // Attention that the tokens of this step received in it, laid out as the
  // step's keys; from Observe to Append.
  Buffer<float> step_scores_;
  bool has_step_scores_ = false;
};

}  // namespace subgen
