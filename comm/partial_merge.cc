#include "comm/partial_merge.h"

#include <algorithm>
#include <limits>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "kernels/backend.h"

namespace subgen {
namespace {

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
                             int64_t max_rows, int64_t head_dim,
                             Backend* backend)
    : ranks_(ranks),
      method_(method),
      backend_(backend),
      scratch_(ScratchSize(method, ranks.size(), max_rows, head_dim),
               backend == nullptr ? nullptr : backend->mirror()) {}

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
  const Vector<float> own_max = scratch_.span().first(view.rows());
  if (backend_ == nullptr) {
    std::copy(view.max_logit.begin(), view.max_logit.end(), own_max.begin());
    ranks_.AllReduce(view.max_logit, ReduceOp::kMax);
    RescalePartials(own_max, view);
    ranks_.AllReduce(partials.sums(), ReduceOp::kSum);
    return;
  }
  constexpr int kOnlyRow[] = {0};
  backend_->GatherRows(Matrix<float>(view.max_logit.data(), 1, view.rows()),
                       kOnlyRow, {own_max.data(), 1, view.rows()});
  ranks_.AllReduce(*backend_, view.max_logit, ReduceOp::kMax);
  backend_->RescalePartials(own_max, view);
  ranks_.AllReduce(*backend_, partials.sums(), ReduceOp::kSum);
}

void PartialMerger::MergeByAllGather(PartialsBuffer& partials) {
  const Vector<float> packed = partials.packed();
  const int64_t each = packed.size();
  const int64_t all = each * ranks_.size();
  SUBGEN_CHECK(all <= scratch_.size() &&
               each <= std::numeric_limits<int>::max());
  counts_.assign(ranks_.size(), static_cast<int>(each));
  const Vector<float> gathered = scratch_.span().first(all);
  if (backend_ == nullptr) {
    ranks_.AllGather(packed, counts_, gathered);
    MergePacked(gathered, partials.view());
    return;
  }
  ranks_.AllGather(*backend_, packed, counts_, gathered);
  backend_->MergePacked(gathered, partials.view());
}

}  // namespace subgen
