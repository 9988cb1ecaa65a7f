#include "engine/cache/leaving_batch.h"

namespace subgen {

void LeavingBatch::Add(const WindowToken& token, RowLayout layout) {
  const auto append = [&](const std::byte* row, std::vector<std::byte>* rows) {
    rows->resize(rows->size() + layout.row_bytes());
    ConvertRow(layout.Exact().format, row, layout.head_dim, layout.format,
               rows->data() + rows->size() - layout.row_bytes());
  };
  positions_.push_back(token.position);
  append(token.row.key, &keys_);
  append(token.row.value, &values_);
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
  points_.resize(2 * size() * layout.head_dim);
  view.Decode(points_);
  return view;
}

}  // namespace subgen
