#include "engine/cache/rows/leaving_tokens.h"

#include "kernels/base/status_macros.h"

namespace subgen {

LeavingTokens LeavingTokens::Part(int64_t first, int64_t count) const {
  LeavingTokens part;
  part.positions = positions.subspan(first, count);
  part.keys = {keys.format, keys.row(first), count, keys.dim};
  part.values = {values.format, values.row(first), count, values.dim};
  // Tokens without scores have an empty array, of which there is no part.
  if (!scores.empty()) part.scores = scores.subspan(first, count);
  return part;
}

void LeavingTokens::AddCopies(int64_t i, int64_t count, MutableRow to,
                              std::vector<RowCopy>* copies) const {
  const LeavingTokens part = Part(i, count);
  copies->push_back({part.keys, keys.format, to.key});
  copies->push_back({part.values, values.format, to.value});
}

void LeavingTokens::ReadByHost(Mirror* mirror) const {
  if (mirror == nullptr) return;
  for (const Rows& rows : {keys, values}) {
    mirror->ReadByHost(rows.data, rows.count * RowBytes(rows.format, rows.dim));
  }
}

LeavingBatch::LeavingBatch(RowLayout layout, int heads, int64_t capacity,
                           bool scored)
    : layout_(layout), capacity_(capacity) {
  // Views refer to the positions while more tokens are added, so these must not
  // move.
  positions_.reserve(capacity);
  const int64_t bytes = capacity * layout.row_bytes();
  for (int head = 0; head < heads; ++head) {
    heads_.push_back({Buffer<std::byte>(bytes, layout.mirror),
                      Buffer<std::byte>(bytes, layout.mirror),
                      Buffer<float>(scored ? capacity : 0, layout.mirror)});
  }
}

void LeavingBatch::AddRow(int head, const StoredRow& row, RowMoves* moves) {
  SUBGEN_CHECK(size() >= 1 && size() <= capacity_);
  Head& to = heads_[head];
  const int64_t at = (size() - 1) * layout_.row_bytes();
  // The formats of window and sketch differ here, so the move quantizes the
  // row.
  moves->Out(layout_.Exact(), row.row, layout_,
             {to.keys.data() + at, to.values.data() + at});
  if (to.scores.size() > 0) moves->Out(row.score, &to.scores[size() - 1]);
}

std::vector<LeavingTokens> LeavingBatch::Views(int64_t first) const {
  std::vector<LeavingTokens> views;
  for (const Head& head : heads_) {
    LeavingTokens all;
    all.positions = positions_;
    all.keys = {layout_.format, head.keys.data(), size(), layout_.head_dim};
    all.values = {layout_.format, head.values.data(), size(), layout_.head_dim};
    if (head.scores.size() > 0) all.scores = head.scores.span().first(size());
    views.push_back(all.Part(first, size() - first));
  }
  return views;
}

}  // namespace subgen
