#include "kernels/heads.h"

#include <algorithm>

namespace subgen {
namespace {

// Returns the row of the head-major matrix that holds query head `head` of a
// token.
int64_t HeadMajorRow(const HeadLayout& layout, int64_t head, int64_t token) {
  const int64_t kv_head = head / layout.group, member = head % layout.group;
  return (kv_head * layout.tokens + token) * layout.group + member;
}

}  // namespace

void SplitHeads(const HeadLayout& layout, Matrix<const float> token_major,
                float scale, Matrix<float> head_major) {
  SUBGEN_CHECK(token_major.rows == layout.tokens &&
               head_major.rows == layout.rows());
  for (int64_t token = 0; token < layout.tokens; ++token) {
    const float* from = token_major.row(token).data();
    for (int64_t head = 0; head < layout.kv_heads * layout.group; ++head) {
      float* to = head_major.row(HeadMajorRow(layout, head, token)).data();
      for (int64_t i = 0; i < layout.head_dim; ++i) to[i] = scale * *from++;
    }
  }
}

void JoinHeads(const HeadLayout& layout, const SoftmaxPartials& partials,
               const JoinPlace& place, Matrix<float> token_major) {
  const int64_t end_feature = place.first_feature + place.features;
  SUBGEN_CHECK(partials.rows() == layout.rows() &&
               token_major.rows == layout.tokens &&
               place.column + place.features <= token_major.cols);
  const int64_t dim = layout.head_dim;
  for (int64_t token = 0; token < layout.tokens; ++token) {
    float* to = token_major.row(token).data() + place.column;
    for (int64_t first = place.first_feature; first < end_feature;) {
      const int64_t end = std::min(end_feature, (first / dim + 1) * dim);
      const int64_t row = HeadMajorRow(layout, first / dim, token);
      const float* from = partials.weighted.row(row).data() + first % dim;
      const float scale = 1.0f / partials.partition[row];
      for (int64_t i = first; i < end; ++i) *to++ = scale * *from++;
      first = end;
    }
  }
}

}  // namespace subgen
