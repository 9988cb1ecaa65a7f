// Softmax partials are merged over ranks. This all-reduce of partition
// estimates and outputs is what the engine exists for.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "comm/communicator.h"
#include "kernels/softmax_partials.h"

namespace subgen {

enum class MergeMethod {
  kAllReduce,  // max, then partition and weighted packed: two all-reduces
  kAllGather,  // everything packed in one all-gather, merged on each rank
};

// "all_reduce", "all_gather".
absl::StatusOr<MergeMethod> ParseMergeMethod(absl::string_view name);
absl::string_view MergeMethodName(MergeMethod method);

class PartialMerger {
 public:
  // `ranks` and the backend outlive the merger. max_rows and head_dim bound the
  // partials. They lie in memory that the backend mirrors, or in host memory if
  // it is null.
  PartialMerger(Communicator& ranks, MergeMethod method, int64_t max_rows,
                int64_t head_dim, Backend* backend = nullptr);

  // Afterwards every rank holds the partials over the tokens of all ranks, with
  // the same bits everywhere. Empty sides merge as weight zero; NaN spreads to
  // all ranks rather than being lost. Collective: all ranks hand in the same
  // rows.
  void Merge(PartialsBuffer& partials);

 private:
  void MergeByAllReduce(PartialsBuffer& partials);
  void MergeByAllGather(PartialsBuffer& partials);

  Communicator& ranks_;
  MergeMethod method_;
  Backend* const backend_;
  Buffer<float> scratch_;    // own max_logit, or the partials of all ranks
  std::vector<int> counts_;  // numbers from each rank in an all-gather
};

}  // namespace subgen
