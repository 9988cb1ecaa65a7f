// A sketch is what is kept of the tokens that left the window of one slot. The
// window, attention and everything else that policies share is in
// layer_cache.h; a policy is what its sketch selects.
#pragma once

#include <vector>

#include "engine/cache/layer_step.h"
#include "engine/cache/rows/leaving_tokens.h"
#include "kernels/backend.h"
#include "kernels/base/random.h"

namespace subgen {

// This is what a sketch must know of where it stands.
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

// A size is rows and bytes over all heads of the slot.
struct SketchSize {
  int64_t rows = 0;
  ByteUse bytes;
};

// A sketch is of all KV heads of this rank. What it asks of `ops` is done
// later, for many sketches at once: until the call returns it may not read what
// it asked for, and operations of one call are in no order. ops.After says what
// follows them.
class Sketch {
 public:
  virtual ~Sketch() = default;

  // Takes in tokens that left the window, the same positions in each head. They
  // go in one after another: how they are split over calls changes nothing.
  virtual void Insert(Vector<const LeavingTokens> heads, RowOps& ops) = 0;
  // Takes in, at once, what left the window of a prompt that was kept whole
  // (cache.when: once); nothing was inserted before.
  virtual void InsertPrompt(Vector<const LeavingTokens> heads, RowOps& ops) {
    Insert(heads, ops);
  }
  // Sets how many rows, >= 1, each head may hold from now on: the worst go. It
  // is never called for policies whose heads are all alike
  // (PolicyEntry::head_budgets).
  virtual void SetLimits(Vector<const int64_t> rows, RowOps& ops);

  // Appends what attention reads of a head.
  virtual void AddRows(int head, std::vector<WeightedRows>* out) const = 0;
  // Merges attention that no row can stand for into `out`, which is laid out as
  // the step's queries are.
  virtual void AttendMore(const LayerStep&, const Chunk&,
                          const SoftmaxPartials& /*out*/) const {}
  // Returns one score for each row of AddRows, which attention mass is added
  // to. Policies that need scores have it.
  virtual Vector<float> Scores(int /*head*/) { return {}; }
  // Shows the queries of the chunk's tokens, before these leave the window or
  // even enter it, to policies that need queries.
  virtual void Observe(const LayerStep&, const Chunk&,
                       Vector<const float> /*log_partition*/) {}

  virtual SketchSize size() const = 0;
  virtual void Save(ByteWriter* out) const = 0;
  // `entered` is the number of tokens that left the window so far.
  virtual absl::Status Load(ByteReader* in, int64_t entered) = 0;
};

}  // namespace subgen
