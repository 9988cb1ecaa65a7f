#include "kernels/cuda/cache/k_center_plan.h"

#include <algorithm>

#include "kernels/cuda/cache/distances.h"
#include "kernels/cuda/device/head_dim.h"

namespace subgen::cuda {
namespace {

CenterHead HeadOf(const CenterTask& task, Operation* operation) {
  const CenterArrays& arrays = task.centers;
  CenterHead head;
  head.metric = task.metric;
  head.dim = static_cast<int>(arrays.dim);
  head.limit = static_cast<int>(arrays.limit);
  head.rows = static_cast<int>(task.rows);
  head.tokens = static_cast<int>(task.tokens());
  head.entered = task.entered;
  head.row_bytes = RowBytes(arrays.format, arrays.dim);
  // Rows that are only reached while tokens join belong to the operand too: the
  // kernel writes there, and the host must know that the device has them newer.
  const size_t bytes = task.most_rows() * head.row_bytes;
  head.keys = operation->InOutBytes(arrays.keys, bytes);
  head.values = operation->InOutBytes(arrays.values, bytes);
  const size_t token_bytes = task.tokens() * head.row_bytes;
  head.token_keys = operation->InBytes(task.keys.data, token_bytes);
  head.token_values = operation->InBytes(task.values.data, token_bytes);
  const auto array = [&](auto host) {
    return host.empty() ? nullptr : operation->InOut(host);
  };
  head.counts = array(arrays.counts);
  head.bias = array(arrays.bias);
  head.near_rows = array(arrays.neighbors.rows);
  head.second_rows = array(arrays.neighbors.second_rows);
  head.near_squared = array(arrays.neighbors.squared);
  head.second_squared = array(arrays.neighbors.second_squared);
  head.alignments = array(arrays.alignments);
  head.totals = array(arrays.totals);
  // One more than the rows: the token at hand has links before it has a row.
  const int64_t links = std::max(task.rows, arrays.limit) + 1;
  head.squared = operation->Scratch(links);
  head.weights = operation->Scratch(links);
  head.scores = operation->Scratch(links);
  head.others = operation->Scratch(links);
  return head;
}

// Tokens are compared with centers, and with each other, by these rows.
struct Compared {
  const uint8_t* tokens;
  const uint8_t* centers;
  bool directions;
};

CenterDistances AddPieces(const CenterHead& head, const Compared& of,
                          Operation* operation,
                          std::vector<TokenDistancesPiece>* pieces) {
  CenterDistances part;
  const int64_t tokens = head.tokens;
  part.centers = operation->Scratch(tokens * head.limit);
  part.tokens = operation->Scratch(tokens * tokens);
  const auto add = [&](const uint8_t* rows, int count, float* out,
                       int64_t stride) {
    for (int first = 0; first < count; first += kDistanceRows) {
      TokenDistancesPiece piece;
      piece.tokens = of.tokens;
      piece.token_count = head.tokens;
      piece.rows = rows + first * head.row_bytes;
      piece.count = std::min(kDistanceRows, count - first);
      piece.row_bytes = head.row_bytes;
      piece.dim = head.dim;
      piece.directions = of.directions;
      piece.squared = out + first;
      piece.stride = stride;
      pieces->push_back(piece);
    }
  };
  add(of.centers, head.rows, part.centers, head.limit);
  // A token that has joined is a center for those after it, so tokens are
  // compared with each other too.
  if (tokens > 1) add(of.tokens, head.tokens, part.tokens, tokens);
  return part;
}

}  // namespace

void PlanCenters(Vector<const CenterTask> tasks, Operation* operation,
                 CenterPlan* plan) {
  plan->Clear();
  for (const CenterTask& task : tasks) {
    const CenterMetric& metric = task.metric;
    const RowFormat format = task.centers.format;
    SUBGEN_CHECK(task.centers.dim <= kMostHeadDim &&
                 (task.rows <= task.centers.limit || task.tokens() == 0));
    CenterHead head = HeadOf(task, operation);
    if (head.tokens > 0) {
      auto* pieces = &plan->distances[format];
      const Compared keys = {head.token_keys, head.keys, false};
      const Compared directions = {head.token_keys, head.keys, true};
      const Compared values = {head.token_values, head.values, false};
      if (metric.keys) head.of_keys = AddPieces(head, keys, operation, pieces);
      // A weighted choice needs the directions even where the metric does not,
      // because alignments are sums of cosines.
      if (metric.directions || metric.weighted()) {
        head.of_directions = AddPieces(head, directions, operation, pieces);
      }
      if (metric.values) {
        head.of_values = AddPieces(head, values, operation, pieces);
      }
    }
    // A head without tokens has no distances, but may have rows to drop.
    plan->heads[format].push_back(head);
  }
}

}  // namespace subgen::cuda
