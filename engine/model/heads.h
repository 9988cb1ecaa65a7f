// Between the two layouts of a layer: token-major as the projections write it,
// [tokens, heads * head_dim], and head-major as attention reads it,
// [kv_heads * tokens * group, head_dim].
#pragma once

#include "comm/rank_grid.h"
#include "kernels/softmax_partials.h"

namespace subgen {

struct HeadLayout {
  int64_t tokens = 0;
  int64_t kv_heads = 0;  // of this rank
  int64_t group = 1;     // 1 for keys and values
  int64_t head_dim = 0;

  int64_t rows() const { return kv_heads * tokens * group; }
};

// Token-major to head-major, times `scale`.
void SplitHeads(const HeadLayout& layout, Matrix<const float> token_major,
                float scale, Matrix<float> head_major);

// attention = weighted / partition for the features [features] of this rank's
// heads (feature = query head * head_dim + i, from its first head), to columns
// [column, column + features.count) of the token-major output.
void JoinHeads(const HeadLayout& layout, const SoftmaxPartials& partials,
               Range features, int64_t column, Matrix<float> token_major);

}  // namespace subgen
