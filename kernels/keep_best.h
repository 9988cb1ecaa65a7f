// Of the rows of one head, those with the largest scores stay (H2O, Zhang et
// al., arXiv 2306.14048). This is how a backend keeps them. The choice is
// greedy: a row that has gone does not come back.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/weighted_rows.h"

namespace subgen {

// Tokens join one after another. While more than `limit` rows are held, the
// lowest goes and the last row takes its place. Then a token is appended where
// there is room; where there is none, it takes the place of the lowest, unless
// its own score is lower. Of rows with equal scores, the older one is the
// lowest. A score that is not a number counts as the largest.
struct KeepBestTask {
  std::byte* keys = nullptr;      // [room] rows in the format of the tokens
  std::byte* values = nullptr;    // [room]
  Vector<float> scores;           // [room] >= 0, or not a number
  Vector<int32_t> positions;      // [room]
  int64_t held = 0;               // of the room
  int64_t limit = 1;              // >= 1
  Rows token_keys, token_values;  // [tokens, dim]
  Vector<const float> token_scores;
  Vector<const int64_t> token_positions;  // ascending, and above all held

  int64_t tokens() const { return token_keys.count; }
  int64_t room() const { return static_cast<int64_t>(scores.size()); }
  int64_t row_bytes() const {
    return RowBytes(token_keys.format, token_keys.dim);
  }
  // So many rows are held afterwards.
  int64_t HeldAfter() const {
    return held + tokens() < limit ? held + tokens() : limit;
  }
};

// Shapes that do not fit together are bugs.
void Check(const KeepBestTask& task);

}  // namespace subgen
