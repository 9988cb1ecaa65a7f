// Between the two layouts of a layer: token-major as the projections write it,
// [tokens, heads * head_dim], and head-major as attention reads it,
// [kv_heads * tokens * group, head_dim].
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

// How heads are rotated: those of token i by positions[i]. No rotary: not at
// all.
struct HeadRotation {
  const Rotary* rotary = nullptr;
  Vector<const int64_t> positions;  // [tokens]
};

// Rows on their way to attention: turned, times `scale`, split into heads.
struct HeadSplit {
  HeadRotation rotation;
  HeadLayout layout;
  Matrix<float> token_major;  // [tokens, heads * head_dim]; may change
  float scale = 1.0f;
  Matrix<float> head_major;  // [layout.rows(), head_dim]
};

// Token-major to head-major, times `scale`.
void SplitHeads(const HeadLayout& layout, Matrix<const float> token_major,
                float scale, Matrix<float> head_major);

// Which of this rank's features (feature = query head * head_dim + i, from its
// first head), and the column of the output where the first of them goes.
struct JoinPlace {
  int64_t first_feature = 0;
  int64_t features = 0;
  int64_t column = 0;
};

// attention = weighted / partition for these features, token-major.
void JoinHeads(const HeadLayout& layout, const SoftmaxPartials& partials,
               const JoinPlace& place, Matrix<float> token_major);

}  // namespace subgen
