// What is kept of the tokens that left the window, for one KV head of one slot.
// The window, attention and everything else that policies share is in
// sketch_policy.h; a policy is what its sketch selects.
#pragma once

#include <vector>

#include "engine/cache/row_store.h"
#include "kernels/backend.h"

namespace subgen {

// Tokens that left the window, ascending in position. Keys and values as they
// were stored; only some sketches are given points and distances.
struct LeavingTokens {
  Vector<const int64_t> positions;
  Rows keys, values;
  Vector<const float> scores;                // where the window is scored
  Matrix<const float> points, value_points;  // the keys and values as floats

  int64_t count() const { return keys.count; }
  EncodedRow row(int64_t i) const { return {keys.row(i), values.row(i)}; }
  // Sets the points; they lie in `out`, [2 * count * head_dim] or more.
  void Decode(Vector<float> out);
  // Without points.
  LeavingTokens Part(int64_t first, int64_t count) const;
};

// What a sketch must know of where it stands.
struct SketchPlace {
  RowLayout layout;
  int64_t rows = 0;  // that it may hold, until SetLimit
  uint64_t seed = 0;
  int layer = 0;
  int head = 0;  // of the model
  Backend* backend = nullptr;

  RandomPlace random() const { return RandomPlace(seed, layer, head); }
};

// What sketches leave to the backend, for many heads at once.
struct SketchTasks {
  std::vector<CenterTask> centers;
  std::vector<ClusterTask> clusters;
  std::vector<KeepBestTask> scored;
};

class Sketch {
 public:
  virtual ~Sketch() = default;

  // Distances that Insert of these tokens will read, row i for token i.
  // Insert may be called with at most kMostTokens at once.
  static constexpr int64_t kMostTokens = 32;
  virtual int64_t DistanceColumns() const { return 0; }
  virtual void AddDistances(const LeavingTokens&, Matrix<float>,
                            std::vector<DistanceTask>*) const {}
  // One token after another; how they are split over calls changes nothing.
  virtual void Insert(const LeavingTokens& tokens,
                      Matrix<const float> squared) = 0;
  // Whether Insert reads the tokens, on the host.
  virtual bool ReadsTokens() const { return true; }
  // What an Insert of these tokens leaves to the backend, as copies of rows,
  // for all heads at once; as many for as many tokens, some of no rows, so that
  // a device is asked for the same at each step.
  virtual void AddRowCopies(const LeavingTokens&, std::vector<RowCopy>*) {}
  // The queries of the next tokens, before these leave the window or even enter
  // it: [tokens * group, head_dim] and [tokens * group].
  virtual void Observe(Matrix<const float>, Vector<const float>) {}
  // Instead of Insert, of sketches that leave their tokens to the backend
  // (SketchPolicyOptions::leaves_tokens): what it is to do, for many heads at
  // once and before anything else happens to the sketch.
  virtual void AddTasks(const LeavingTokens&, SketchTasks*) {}
  // Of the same: what it is to do before SetLimit of so many rows.
  virtual void AddShrinkTasks(int64_t, std::vector<CenterTask>*) {}
  // From now on it may hold so many rows, >= 1: the worst go. Never called of
  // sketches for which all heads must be alike (cache.head_budgets).
  virtual void SetLimit(int64_t rows);
  // Takes in, at once, what left the window of a prompt that was kept whole
  // (cache.when: once); nothing was inserted before. Default: as a stream.
  virtual void InsertPrompt(const LeavingTokens& tokens, Backend& backend);

  virtual void AddRows(std::vector<WeightedRows>* out) const = 0;
  // Rows in a packing of the sketch's own, beside those of AddRows; the same
  // number in every head.
  virtual int64_t packed_rows() const { return 0; }
  // Packed rows [first, first + keys.rows) as floats; `first` is a multiple of
  // kMostUnpacked, keys.rows that or what is left.
  static constexpr int64_t kMostUnpacked = 256;
  virtual void Unpack(int64_t /*first*/, Matrix<float> /*keys*/,
                      Matrix<float> /*values*/) const {}
  // Of sketches that learn from attention: one for each row.
  virtual Vector<float> Scores() { return {}; }
  virtual int64_t rows() const = 0;
  virtual ByteUse bytes() const = 0;

  virtual void Save(ByteWriter* out) const = 0;
  // `entered`: tokens that left the window so far.
  virtual absl::Status Load(ByteReader* in, int64_t entered) = 0;
};

}  // namespace subgen
