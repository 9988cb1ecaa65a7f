#include "comm/partial_merge.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace subgen {
namespace {

constexpr float kEmpty = -std::numeric_limits<float>::infinity();

// Brings row i from the scale of `own` to that of its max_logit.
void Rescale(const SoftmaxPartials& partials, int64_t i, float own) {
  const float max = partials.max_logit[i];
  if (own == max) return;
  const Vector<float> weighted = partials.weighted.row(i);
  if (own == kEmpty) {  // weight zero
    partials.partition[i] = 0.0f;
    std::fill(weighted.begin(), weighted.end(), 0.0f);
    return;
  }
  const float factor = std::exp(own - max);
  partials.partition[i] *= factor;
  for (float& w : weighted) w *= factor;
}

// Partials that lie as PartialsBuffer::packed() puts them.
SoftmaxPartials ViewPacked(float* data, int64_t rows, int64_t head_dim) {
  const size_t n = rows;
  return {{data, n}, {data + n, n}, {data + 2 * n, rows, head_dim}};
}

int64_t ScratchSize(MergeMethod method, int ranks, int64_t max_rows,
                    int64_t head_dim) {
  if (ranks == 1) return 0;
  if (method == MergeMethod::kAllReduce) return max_rows;
  return ranks * max_rows * (head_dim + 2);
}

}  // namespace

absl::StatusOr<MergeMethod> ParseMergeMethod(absl::string_view name) {
  if (name == "all_reduce") return MergeMethod::kAllReduce;
  if (name == "all_gather") return MergeMethod::kAllGather;
  return absl::InvalidArgumentError(absl::StrCat(
      "ranks.merge = \"", name, "\": must be all_reduce or all_gather"));
}

absl::string_view MergeMethodName(MergeMethod method) {
  return method == MergeMethod::kAllReduce ? "all_reduce" : "all_gather";
}

PartialMerger::PartialMerger(Communicator& ranks, MergeMethod method,
                             int64_t max_rows, int64_t head_dim)
    : ranks_(ranks),
      method_(method),
      scratch_(ScratchSize(method, ranks.size(), max_rows, head_dim)) {}

void PartialMerger::Merge(PartialsBuffer& partials) {
  if (ranks_.size() == 1) return;
  if (method_ == MergeMethod::kAllReduce) {
    MergeByAllReduce(partials);
  } else {
    MergeByAllGather(partials);
  }
}

void PartialMerger::MergeByAllReduce(PartialsBuffer& partials) {
  const SoftmaxPartials view = partials.view();
  SUBGEN_CHECK(view.rows() <= scratch_.size());
  std::copy(view.max_logit.begin(), view.max_logit.end(), scratch_.data());
  ranks_.AllReduce(view.max_logit, ReduceOp::kMax);
  for (int64_t i = 0; i < view.rows(); ++i) Rescale(view, i, scratch_[i]);
  ranks_.AllReduce(partials.sums(), ReduceOp::kSum);
}

void PartialMerger::MergeByAllGather(PartialsBuffer& partials) {
  const Vector<float> packed = partials.packed();
  const int64_t each = packed.size();
  const int64_t all = each * ranks_.size();
  SUBGEN_CHECK(all <= scratch_.size() &&
               each <= std::numeric_limits<int>::max());
  counts_.assign(ranks_.size(), static_cast<int>(each));
  ranks_.AllGather(packed, counts_, scratch_.span().first(all));
  const SoftmaxPartials into = partials.view();
  SetEmpty(into);
  for (int rank = 0; rank < ranks_.size(); ++rank) {
    MergePartials(ViewPacked(scratch_.data() + rank * each, into.rows(),
                             into.weighted.cols),
                  into);
  }
}

}  // namespace subgen
