// Tokens on their way from the window of a KV head to its sketch. Here their
// rows are quantized, once and for all.
#pragma once

#include <vector>

#include "engine/cache/recent_window.h"
#include "engine/cache/row_moves.h"
#include "engine/cache/sketch.h"

namespace subgen {

class LeavingBatch {
 public:
  // Of at most `capacity` tokens, which have the same place until Clear; with
  // scores or without.
  LeavingBatch(RowLayout layout, int64_t capacity, bool scored);

  // From a row in layout.Exact().
  void Add(const WindowToken& token, RowMoves* moves);
  void Clear();
  bool full() const { return size() * layout_.row_bytes() == keys_.size(); }
  int64_t size() const { return static_cast<int64_t>(positions_.size()); }
  // Those from `first` on, when the moves have run; valid until Clear.
  LeavingTokens View(int64_t first = 0) const;
  // All for the host, which may read them then. Points only if asked for.
  LeavingTokens HostView(bool points);

 private:
  RowLayout layout_;
  std::vector<int64_t> positions_;
  Buffer<std::byte> keys_, values_;
  Buffer<float> scores_;  // none where tokens have none
  std::vector<float> points_;
};

}  // namespace subgen
