// Tokens on their way from the window of a KV head to its sketch. Here their
// rows are quantised, once and for all.
#pragma once

#include <vector>

#include "engine/cache/recent_window.h"
#include "engine/cache/sketch.h"

namespace subgen {

class LeavingBatch {
 public:
  // From a row in layout.Exact() to one in `layout`.
  void Add(const WindowToken& token, RowLayout layout);
  void Clear();
  int64_t size() const { return static_cast<int64_t>(positions_.size()); }
  // Valid until the batch changes. Points only where asked for.
  LeavingTokens View(RowLayout layout, bool points);

 private:
  std::vector<int64_t> positions_;
  std::vector<std::byte> keys_, values_;
  std::vector<float> scores_, points_;
};

}  // namespace subgen
