// These are tokens on their way from the window of a slot to its sketch. Here
// their rows are quantized, once and for all.
#pragma once

#include <vector>

#include "engine/cache/rows/row_moves.h"
#include "engine/cache/rows/row_store.h"
#include "kernels/memory/buffer.h"

namespace subgen {

// These are tokens that left the window, as one KV head has them, ascending in
// position. Keys and values are as they were stored.
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
  // A batch holds at most `capacity` tokens, which have the same place until
  // Clear, with scores or without.
  LeavingBatch(RowLayout layout, int heads, int64_t capacity, bool scored);

  // Adds a token, whose rows follow by AddRow, in layout.Exact(), one for each
  // head.
  void Add(int64_t position) { positions_.push_back(position); }
  void AddRow(int head, const StoredRow& row, RowMoves* moves);
  void Clear() { positions_.clear(); }
  int64_t size() const { return static_cast<int64_t>(positions_.size()); }
  bool full() const { return size() == capacity_; }
  // Returns, for each head, the tokens from `first` on. They can be read when
  // the moves have run, and are valid until Clear.
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
