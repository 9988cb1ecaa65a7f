#include "kernels/cuda/cache/algorithm1_plan.h"

#include <algorithm>

#include "kernels/cuda/device/head_dim.h"

namespace subgen::cuda {
namespace {

ClusterHead HeadOf(const ClusterTask& task, Staging* staging) {
  const ClusterArrays& arrays = task.arrays;
  ClusterHead head;
  head.place = task.place;
  head.dim = static_cast<int>(arrays.dim);
  head.limit = static_cast<int>(task.limit);
  head.room = static_cast<int>(arrays.room());
  head.samples = static_cast<int>(arrays.samples);
  head.slots = static_cast<int>(arrays.slots());
  head.tokens = static_cast<int>(task.tokens());
  head.row_bytes = RowBytes(arrays.format, arrays.dim);
  const auto rows = [&](std::byte* data, int64_t count) {
    return staging->InOut(Vector<uint8_t>(reinterpret_cast<uint8_t*>(data),
                                          count * head.row_bytes));
  };
  head.representatives = rows(arrays.representatives, head.room);
  head.sample_keys = rows(arrays.sample_keys, arrays.room() * arrays.samples);
  head.slot_keys = rows(arrays.slot_keys, head.slots);
  head.slot_values = rows(arrays.slot_values, head.slots);
  const size_t token_bytes = task.tokens() * head.row_bytes;
  head.token_keys = staging->InBytes(task.keys.data, token_bytes);
  head.token_values = staging->InBytes(task.values.data, token_bytes);
  head.positions = staging->In(task.positions);
  head.counts = staging->InOut(arrays.counts);
  head.sample_bias = staging->InOut(arrays.sample_bias);
  head.log_norms = staging->InOut(arrays.log_norms);
  head.slot_bias = staging->InOut(arrays.slot_bias);
  head.totals = staging->InOut(arrays.totals);
  head.squared = staging->Scratch(arrays.room());
  head.chosen = reinterpret_cast<int32_t*>(
      staging->Scratch(std::max(arrays.samples, arrays.slots())));
  return head;
}

}  // namespace

void PlanClusters(Vector<const ClusterTask> tasks, Staging* staging,
                  PiecesByFormat<ClusterHead>* plan) {
  plan->Clear();
  for (const ClusterTask& task : tasks) {
    SUBGEN_CHECK(task.arrays.dim <= kMostHeadDim && task.tokens() > 0);
    (*plan)[task.arrays.format].push_back(HeadOf(task, staging));
  }
}

}  // namespace subgen::cuda
