// The value sum of SubGen's Algorithm 1 (arXiv 2402.06082): s slots, each an
// independent sample of the tokens by their squared value norm. With mu the sum
// of |v|^2, a slot's weight is mu / (s |v|^2), which makes the sum unbiased.
#pragma once

#include "engine/cache/draws.h"
#include "engine/cache/row_store.h"
#include "engine/cache/sketch.h"

namespace subgen {

class ValueSamples {
 public:
  ValueSamples(const SketchPlace& place, int64_t slots);

  // Bytes of a slot, everything included.
  static int64_t Bytes(RowLayout layout) {
    return 2 * layout.row_bytes() + 3 * sizeof(float);
  }

  // A value of norm 0 adds nothing to the sum and enters no slot.
  void Insert(EncodedRow row, Draws* draws);
  // After the last Insert before View: mu is in every weight.
  void UpdateBias();

  // Slots, with values only in the value sum. Empty before the first Insert.
  WeightedRows View() const;
  int64_t rows() const { return store_.size(); }
  int64_t bytes() const;

  void Save(ByteWriter* out) const;
  absl::Status Load(ByteReader* in);

 private:
  void Resize(int64_t rows);

  SketchPlace place_;
  int64_t slots_;               // s
  double squared_norms_ = 0.0;  // mu
  RowStore store_;
  Column<float> log_norm_;        // 2 log|v|
  Column<float> value_bias_;      // log mu - log s - 2 log|v|
  Column<float> partition_bias_;  // -infinity
};

}  // namespace subgen
