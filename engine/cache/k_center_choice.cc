// Which centers stay: of a prompt at once, under a new limit.
#include <algorithm>
#include <cmath>

#include "engine/cache/farthest_first.h"
#include "engine/cache/k_center_sketch.h"
#include "kernels/mean_key.h"

namespace subgen {

void KCenterSketch::AddShrinkTasks(int64_t rows,
                                   std::vector<CenterTask>* tasks) {
  if (store_.size() <= rows) return;
  CenterTask task = Task();
  task.centers.limit = rows;
  tasks->push_back(task);
}

void KCenterSketch::SetLimit(int64_t rows) {
  limit_ = rows;
  if (store_.size() > rows) {  // those behind are what was left over
    ResizeLinks(rows);
    ResizeRows(rows);
  }
  store_.SetLimit(rows);
  links_.SetLimit(rows + 1);
  if (metric_.weighted()) alignments_.SetLimit(rows + 1);
  if (!metric_.counted()) return;
  counts_.SetLimit(rows);
  bias_.SetLimit(rows);
}

std::vector<float> KCenterSketch::PromptWeights(const Rows& keys,
                                                Backend& backend) {
  if (!metric_.weighted()) return {};
  const MeanKey mean(totals_.span().subspan(1));
  std::vector<float> squared(keys.count), weights(keys.count);
  const std::vector<float> direction = mean.Direction();
  const DistanceTask task = {direction, keys, squared, true};
  backend.Distances({&task, 1});
  for (float& x : squared) x = mean.AlignmentAt(x);
  mean.Weigh(squared, metric_.distinctiveness_exponent, weights);
  return weights;
}

void KCenterSketch::SetPromptRow(int64_t i, EncodedRow row, int32_t count) {
  store_.Set(i, row);
  if (!metric_.counted()) return;
  counts_[i] = count;
  bias_[i] = metric_.Bias(count);
}

void KCenterSketch::LinkPromptRow(int64_t i, Backend& backend) {
  const WeightedRows all = store_.View();
  const RowPoint point(all.keys, all.values, i);
  std::vector<float> squared(i);
  MetricDistances(backend, metric_, MeanSquare(), {point, store_.View(0, i)},
                  {squared, {}});
  NeighborTable(links_.span(), i).Add(squared);
  if (!metric_.weighted()) return;
  alignments_[i] = MeanKey(totals_.span().subspan(1)).Alignment(point.key);
}

void KCenterSketch::InsertPrompt(const LeavingTokens& tokens,
                                 Backend& backend) {
  if (tokens.count() <= limit_) {
    SketchTasks tasks;
    AddTasks(tokens, &tasks);
    return backend.InsertCenters(tasks.centers);
  }
  const auto point = [&](int64_t row) {
    return RowPoint(tokens.keys, tokens.values, row);
  };
  for (int64_t i = 0; i < tokens.count(); ++i) {
    const RowPoint token = point(i);
    AddToTotals(metric_, token.key, token.value, totals_.span());
  }
  entered_ += tokens.count();
  WeightedRows all;
  all.keys = tokens.keys;
  all.values = tokens.values;
  const std::vector<float> weights = PromptWeights(tokens.keys, backend);
  const auto distances_of = [&](int64_t row, Vector<float> squared) {
    MetricDistances(backend, metric_, MeanSquare(), {point(row), all},
                    {squared, {}});
  };
  const Centers centers =
      FarthestFirst({tokens.count(), weights, distances_of}, limit_);
  const int64_t rows = static_cast<int64_t>(centers.rows.size());
  ResizeRows(rows);
  ResizeLinks(rows);
  for (int64_t i = 0; i < rows; ++i) {
    SetPromptRow(i, tokens.row(centers.rows[i]), centers.counts[i]);
  }
  for (int64_t i = 0; i < rows; ++i) LinkPromptRow(i, backend);
  counts_.Written(0, counts_.size());
  bias_.Written(0, bias_.size());
  links_.Written();
  alignments_.Written(0, alignments_.size());
  totals_.Written(0, totals_.size());
}

}  // namespace subgen
