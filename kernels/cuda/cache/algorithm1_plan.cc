#include "kernels/cuda/cache/algorithm1_plan.h"

#include <algorithm>

#include "kernels/cuda/device/head_dim.h"

namespace subgen::cuda {
namespace {

ClusterHead HeadOf(const ClusterTask& task, Operation* operation) {
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
  // The device gets all the room, not only the clusters that are held: how many
  // are held is known only there, as it depends on the tokens.
  const auto rows = [&](std::byte* data, int64_t count) {
    return operation->InOutBytes(data, count * head.row_bytes);
  };
  head.representatives = rows(arrays.representatives, head.room);
  head.sample_keys = rows(arrays.sample_keys, arrays.room() * arrays.samples);
  head.slot_keys = rows(arrays.slot_keys, head.slots);
  head.slot_values = rows(arrays.slot_values, head.slots);
  const size_t token_bytes = task.tokens() * head.row_bytes;
  head.token_keys = operation->InBytes(task.keys.data, token_bytes);
  head.token_values = operation->InBytes(task.values.data, token_bytes);
  head.positions = operation->In(task.positions);
  head.counts = operation->InOut(arrays.counts);
  head.sample_bias = operation->InOut(arrays.sample_bias);
  head.log_norms = operation->InOut(arrays.log_norms);
  head.slot_bias = operation->InOut(arrays.slot_bias);
  head.totals = operation->InOut(arrays.totals);
  head.squared = operation->Scratch(arrays.room());
  // One list serves both kinds of choice, as one has ended when the other
  // begins.
  head.chosen = reinterpret_cast<int32_t*>(
      operation->Scratch(std::max(arrays.samples, arrays.slots())));
  return head;
}

}  // namespace

void PlanClusters(Vector<const ClusterTask> tasks, Operation* operation,
                  PiecesByFormat<ClusterHead>* plan) {
  plan->Clear();
  for (const ClusterTask& task : tasks) {
    SUBGEN_CHECK(task.arrays.dim <= kMostHeadDim && task.tokens() > 0);
    (*plan)[task.arrays.format].push_back(HeadOf(task, operation));
  }
}

}  // namespace subgen::cuda
