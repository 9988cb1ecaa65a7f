#include "engine/cache/leaving_batch.h"

namespace subgen {

LeavingBatch::LeavingBatch(RowLayout layout, int64_t capacity, bool scored)
    : layout_(layout),
      keys_(capacity * layout.row_bytes(), layout.mirror),
      values_(capacity * layout.row_bytes(), layout.mirror),
      scores_(scored ? capacity : 0, layout.mirror) {
  positions_.reserve(capacity);
}

void LeavingBatch::Add(const WindowToken& token, RowMoves* moves) {
  const int64_t at = size() * layout_.row_bytes();
  SUBGEN_CHECK(at < keys_.size());
  moves->Out(layout_.Exact(), token.row, layout_,
             {keys_.data() + at, values_.data() + at});
  if (scores_.size() > 0) moves->Out(token.score, &scores_[size()]);
  positions_.push_back(token.position);
}

void LeavingBatch::Clear() { positions_.clear(); }

LeavingTokens LeavingBatch::View(int64_t first) const {
  LeavingTokens view;
  view.positions = positions_;
  view.keys = {layout_.format, keys_.data(), size(), layout_.head_dim};
  view.values = {layout_.format, values_.data(), size(), layout_.head_dim};
  if (scores_.size() > 0) view.scores = scores_.span().first(size());
  return view.Part(first, size() - first);
}

LeavingTokens LeavingBatch::HostView(bool points) {
  if (layout_.mirror != nullptr) {
    const int64_t bytes = size() * layout_.row_bytes();
    layout_.mirror->ReadByHost(keys_.data(), bytes);
    layout_.mirror->ReadByHost(values_.data(), bytes);
  }
  LeavingTokens view = View();
  if (!points) return view;
  points_.resize(2 * size() * layout_.head_dim);
  view.Decode(points_);
  return view;
}

}  // namespace subgen
