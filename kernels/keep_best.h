// Rows of which the ones with the largest scores stay, as a backend keeps them
// for one head (H2O, Zhang et al., arXiv 2306.14048). Greedy: what goes is
// gone.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/weighted_rows.h"

namespace subgen {

// Tokens that join, one after another. While more than `limit` rows are held
// the lowest goes and the last takes its place. Then a token is appended where
// there is room; where there is none it takes the place of the lowest, unless
// its own score is lower. The lowest: of equal scores the older one; what is
// not a number counts as the largest.
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
  // What is held afterwards.
  int64_t HeldAfter() const {
    return held + tokens() < limit ? held + tokens() : limit;
  }
};

// Shapes that do not fit together are bugs.
void Check(const KeepBestTask& task);

}  // namespace subgen
