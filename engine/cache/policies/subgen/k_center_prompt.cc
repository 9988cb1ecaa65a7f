// This chooses which centers stay of a prompt that was kept whole: greedy
// k-center, on the host, as the choice of each center waits for that of the one
// before.
#include <algorithm>
#include <cmath>

#include "engine/cache/policies/subgen/farthest_first.h"
#include "engine/cache/policies/subgen/k_center.h"
#include "kernels/mean_key.h"

namespace subgen {

std::vector<float> KCenterHead::PromptWeights(const Rows& keys) {
  if (!metric_.weighted()) return {};
  const MeanKey mean(totals_.span().subspan(1));
  std::vector<float> squared(keys.count), weights(keys.count);
  const std::vector<float> direction = mean.Direction();
  const DistanceTask task = {direction, keys, squared, true};
  backend_.Distances({&task, 1});
  for (float& x : squared) x = mean.AlignmentAt(x);
  mean.Weigh(squared, metric_.distinctiveness_exponent, weights);
  return weights;
}

void KCenterHead::SetPromptRow(int64_t i, EncodedRow row, int32_t count) {
  store_.Set(i, row);
  if (!metric_.counted()) return;
  counts_[i] = count;
  bias_[i] = metric_.Bias(count);
}

void KCenterHead::LinkPromptRow(int64_t i) {
  const WeightedRows all = store_.View();
  const RowPoint point(all.keys, all.values, i);
  std::vector<float> squared(i);
  MetricDistances(backend_, metric_, MeanSquare(), {point, store_.View(0, i)},
                  {squared, {}});
  NeighborTable(neighbors_.span(), i).Add(squared);
  if (!metric_.weighted()) return;
  alignments_[i] = MeanKey(totals_.span().subspan(1)).Alignment(point.key);
}

void KCenterHead::InsertPrompt(const LeavingTokens& tokens, RowOps& ops) {
  // Where all tokens fit there is nothing to choose.
  if (tokens.count() <= limit_) return Insert(tokens, ops);
  tokens.ReadByHost(layout_.mirror);
  const auto point = [&](int64_t row) {
    return RowPoint(tokens.keys, tokens.values, row);
  };
  for (int64_t i = 0; i < tokens.count(); ++i) {
    const RowPoint token = point(i);
    // The means are over the whole prompt before any distance is measured by
    // them.
    AddToTotals(metric_, token.key, token.value, totals_.span());
  }
  entered_ += tokens.count();
  WeightedRows all;
  all.keys = tokens.keys;
  all.values = tokens.values;
  const std::vector<float> weights = PromptWeights(tokens.keys);
  const auto distances_of = [&](int64_t row, Vector<float> squared) {
    MetricDistances(backend_, metric_, MeanSquare(), {point(row), all},
                    {squared, {}});
  };
  const Centers centers =
      FarthestFirst({tokens.count(), weights, distances_of}, limit_);
  const int64_t rows = static_cast<int64_t>(centers.rows.size());
  ResizeRows(rows);
  ResizeNeighbors(rows);
  for (int64_t i = 0; i < rows; ++i) {
    SetPromptRow(i, tokens.row(centers.rows[i]), centers.counts[i]);
  }
  // The stream goes on from neighbors of the centers, as if these had come one
  // after another.
  for (int64_t i = 0; i < rows; ++i) LinkPromptRow(i);
  // The host wrote these arrays, and the stream's work may be a device's.
  TellMirror();
}

void KCenterHead::TellMirror() {
  counts_.Written(0, counts_.size());
  bias_.Written(0, bias_.size());
  neighbors_.Written();
  alignments_.Written(0, alignments_.size());
  totals_.Written(0, totals_.size());
}

}  // namespace subgen
