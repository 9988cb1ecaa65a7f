// Converts between the two layouts of a layer: token-major, [tokens, heads *
// head_dim], as the projections write it, and head-major, [kv_heads * tokens *
// group, head_dim], as attention reads it.
#pragma once

#include <cstdint>

#include "kernels/memory/view.h"
#include "kernels/rotary.h"
#include "kernels/softmax_partials.h"

namespace subgen {

struct HeadLayout {
  int64_t tokens = 0;
  int64_t kv_heads = 0;  // of this rank
  int64_t group = 1;     // 1 for keys and values
  int64_t head_dim = 0;

  int64_t rows() const { return kv_heads * tokens * group; }
};

// The heads of token i are rotated by positions[i]; without `rotary` they are
// not rotated.
struct HeadRotation {
  const Rotary* rotary = nullptr;
  Vector<const int64_t> positions;  // [tokens]
};

// Rows on their way to attention are rotated, multiplied by `scale` and split
// into heads.
struct HeadSplit {
  HeadRotation rotation;
  HeadLayout layout;
  Matrix<const float> token_major;  // [tokens, heads * head_dim]
  float scale = 1.0f;
  Matrix<float> head_major;  // [layout.rows(), head_dim]
};

// Converts token-major to head-major, times `scale`.
void SplitHeads(const HeadLayout& layout, Matrix<const float> token_major,
                float scale, Matrix<float> head_major);

// Says which of this rank's features are joined (feature = query head *
// head_dim + i, counted from the rank's first head), and into which column of
// the output the first of them goes.
struct JoinPlace {
  int64_t first_feature = 0;
  int64_t features = 0;
  int64_t column = 0;
};

// Sets attention = weighted / partition for these features, token-major.
void JoinHeads(const HeadLayout& layout, const SoftmaxPartials& partials,
               const JoinPlace& place, Matrix<float> token_major);

}  // namespace subgen
