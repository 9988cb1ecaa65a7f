// Tokens on their way from the windows of a slot's KV heads to its sketch. Here
// their rows are quantized, once and for all.
#pragma once

#include <vector>

#include "engine/cache/rows/row_moves.h"
#include "engine/cache/rows/row_store.h"
#include "kernels/memory/buffer.h"

namespace subgen {

// Of one KV head: tokens that left its window, ascending in position. Keys and
// values are as they were stored.
struct LeavingTokens {
  Vector<const int64_t> positions;
  Rows keys, values;
  Vector<const float> scores;  // where the window is scored

  int64_t count() const { return keys.count; }
  EncodedRow row(int64_t i) const { return {keys.row(i), values.row(i)}; }
  LeavingTokens Part(int64_t first, int64_t count) const;
  // Adds copies of `count` tokens from number `i` on, as they are stored.
  void AddCopies(int64_t i, int64_t count, MutableRow to,
                 std::vector<RowCopy>* copies) const;
  // Tells the mirror, if there is one, that the host is about to read the rows.
  void ReadByHost(Mirror* mirror) const;
};

class LeavingBatch {
 public:
  // Of at most `capacity` tokens, which have the same place until Clear; with
  // scores or without.
  LeavingBatch(RowLayout layout, int heads, int64_t capacity, bool scored);

  // The token at hand, whose rows follow, in layout.Exact(), one for each head.
  void Add(int64_t position) { positions_.push_back(position); }
  void AddRow(int head, const StoredRow& row, RowMoves* moves);
  void Clear() { positions_.clear(); }
  int64_t size() const { return static_cast<int64_t>(positions_.size()); }
  bool full() const { return size() == capacity_; }
  // Of each head, those from `first` on, when the moves have run; valid until
  // Clear.
  std::vector<LeavingTokens> Views(int64_t first) const;

 private:
  struct Head {
    Buffer<std::byte> keys, values;
    Buffer<float> scores;  // none where tokens have none
  };
  RowLayout layout_;
  int64_t capacity_;
  std::vector<int64_t> positions_;
  std::vector<Head> heads_;
};

}  // namespace subgen
