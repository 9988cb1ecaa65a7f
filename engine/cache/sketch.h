// What is kept of the tokens that left the window, of one slot. The window,
// attention and everything else that policies share is in layer_cache.h; a
// policy is what its sketch selects.
#pragma once

#include <vector>

#include "engine/cache/layer_step.h"
#include "engine/cache/rows/leaving_tokens.h"
#include "kernels/backend.h"
#include "kernels/base/random.h"

namespace subgen {

// What a sketch must know of where it stands.
struct SketchPlace {
  RowLayout layout;
  std::vector<int64_t> rows;  // [kv_heads] that it may hold, until SetLimits
  uint64_t seed = 0;
  int layer = 0;
  int first_head = 0;  // of the model
  Backend* backend = nullptr;

  int kv_heads() const { return static_cast<int>(rows.size()); }
  RandomPlace random(int head) const {
    return RandomPlace(seed, layer, first_head + head);
  }
};

// Rows and bytes over all heads of the slot.
struct SketchSize {
  int64_t rows = 0;
  ByteUse bytes;
};

// Of all KV heads of this rank. What a sketch asks of `ops` is done for many
// sketches at once, later: until the call returns it may not read what it asked
// for, and operations of one call are in no order. ops.After says what follows
// them.
class Sketch {
 public:
  virtual ~Sketch() = default;

  // Tokens that left the windows, the same positions in each head. One token
  // after another: how they are split over calls changes nothing.
  virtual void Insert(Vector<const LeavingTokens> heads, RowOps& ops) = 0;
  // Takes in, at once, what left the windows of a prompt that was kept whole
  // (cache.when: once); nothing was inserted before.
  virtual void InsertPrompt(Vector<const LeavingTokens> heads, RowOps& ops) {
    Insert(heads, ops);
  }
  // From now on each head may hold so many rows, >= 1: the worst go. Never
  // called of policies whose heads are all alike (PolicyEntry::head_budgets).
  virtual void SetLimits(Vector<const int64_t> rows, RowOps& ops);

  // Appends what attention reads of a head.
  virtual void AddRows(int head, std::vector<WeightedRows>* out) const = 0;
  // Merges attention that no row can stand for into `out`, which is laid out as
  // the step's queries are.
  virtual void AttendMore(const LayerStep&, const Chunk&,
                          const SoftmaxPartials& /*out*/) const {}
  // Of policies that need scores: one for each row of AddRows, which attention
  // mass is added to.
  virtual Vector<float> Scores(int /*head*/) { return {}; }
  // Of policies that need queries: those of the chunk's tokens, before these
  // leave the window or even enter it.
  virtual void Observe(const LayerStep&, const Chunk&,
                       Vector<const float> /*log_partition*/) {}

  virtual SketchSize size() const = 0;
  virtual void Save(ByteWriter* out) const = 0;
  // `entered`: tokens that left the window so far.
  virtual absl::Status Load(ByteReader* in, int64_t entered) = 0;
};

}  // namespace subgen
