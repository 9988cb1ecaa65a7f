#include "engine/cache/leaving_batch.h"

namespace subgen {

void LeavingBatch::Add(const LeavingToken& token, RowLayout layout) {
  const int64_t bytes = layout.row_bytes();
  positions_.push_back(token.position);
  keys_.insert(keys_.end(), token.row.key, token.row.key + bytes);
  values_.insert(values_.end(), token.row.value, token.row.value + bytes);
  scores_.push_back(token.score);
}

void LeavingBatch::Clear() {
  positions_.clear();
  keys_.clear();
  values_.clear();
  scores_.clear();
}

LeavingTokens LeavingBatch::View(RowLayout layout, bool points) {
  LeavingTokens view;
  view.positions = positions_;
  view.keys = {layout.format, keys_.data(), size(), layout.head_dim};
  view.values = {layout.format, values_.data(), size(), layout.head_dim};
  view.scores = scores_;
  if (!points) return view;
  points_.resize(size() * layout.head_dim);
  const Matrix<float> all(points_.data(), size(), layout.head_dim);
  for (int64_t i = 0; i < size(); ++i) {
    DecodeRow(layout.format, view.keys.row(i), all.row(i));
  }
  view.points = all;
  return view;
}

}  // namespace subgen
