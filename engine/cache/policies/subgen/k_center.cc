// This is what the centers are kept in.
#include "engine/cache/policies/subgen/k_center.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "kernels/base/status_macros.h"
#include "kernels/neighbors.h"

namespace subgen {

KCenterHead::KCenterHead(const HeadPlace& place, const CenterMetric& metric)
    : layout_(place.layout),
      backend_(*place.backend),
      metric_(metric),
      limit_(place.rows),
      store_(place.layout, limit_),
      counts_(metric.counted() ? limit_ : 0, 1, 64, place.layout.mirror),
      bias_(metric.counted() ? limit_ : 0, 1, 64, place.layout.mirror),
      neighbors_(limit_ + 1, place.layout.mirror),
      alignments_(metric.weighted() ? limit_ + 1 : 0, 1, 64,
                  place.layout.mirror),
      totals_(1 + (metric.weighted() ? place.layout.head_dim : 0), 1, 1,
              place.layout.mirror) {
  totals_.Resize(1 + (metric.weighted() ? place.layout.head_dim : 0));
}

void NeighborColumns::Written() {
  rows.Written(0, size());
  squared.Written(0, size());
  second_rows.Written(0, size());
  second_squared.Written(0, size());
}

void NeighborColumns::Save(ByteWriter* out) const {
  SaveAll(out, rows, squared, second_rows, second_squared);
}

absl::Status NeighborColumns::Load(ByteReader* in) {
  RETURN_IF_ERROR(LoadAll(in, &rows, &squared, &second_rows, &second_squared));
  RETURN_IF_ERROR(CheckSaved(squared.size() == size() &&
                                 second_rows.size() == size() &&
                                 second_squared.size() == size(),
                             "the number of neighbors"));
  const auto legal = [&](int32_t row, float distance, int64_t of) {
    // Backends use these numbers as rows of the arrays.
    return row >= -1 && row < size() && row != of && distance >= 0.0f;
  };
  for (int64_t i = 0; i < size(); ++i) {
    RETURN_IF_ERROR(CheckSaved(legal(rows[i], squared[i], i) &&
                                   legal(second_rows[i], second_squared[i], i),
                               "a neighbor"));
  }
  return absl::OkStatus();
}

void KCenterHead::ResizeNeighbors(int64_t rows) {
  neighbors_.Resize(rows);
  if (metric_.weighted()) alignments_.Resize(rows);
}

void KCenterHead::ResizeRows(int64_t rows) {
  store_.Resize(rows);
  if (!metric_.counted()) return;
  counts_.Resize(rows);
  bias_.Resize(rows);
}

CenterTask KCenterHead::Task() {
  CenterTask task;
  task.metric = metric_;
  CenterArrays& arrays = task.centers;
  arrays.format = layout_.format;
  arrays.dim = layout_.head_dim;
  arrays.limit = limit_;
  arrays.keys = store_.keys();
  arrays.values = store_.values();
  arrays.counts = counts_.span();
  arrays.bias = bias_.span();
  arrays.neighbors = neighbors_.span();
  arrays.alignments = alignments_.span();
  arrays.totals = totals_.span();
  task.rows = store_.size();
  task.entered = entered_;
  return task;
}

void KCenterHead::Insert(const LeavingTokens& tokens, RowOps& ops) {
  const int64_t before = store_.size(), count = tokens.count();
  const int64_t after = std::min(limit_, before + count);
  ResizeRows(after);
  // The token at hand has neighbors, too. The task views the arrays while they
  // have room for it; the memory stays where it is when they become shorter
  // again.
  ResizeNeighbors(std::min(limit_ + 1, before + count));
  CenterTask task = Task();
  ResizeNeighbors(after);
  task.rows = before;
  task.keys = tokens.keys;
  task.values = tokens.values;
  entered_ += count;
  ops.InsertCenters({&task, 1});
}

void KCenterHead::SetLimit(int64_t rows, RowOps& ops) {
  limit_ = rows;
  if (store_.size() > rows) {
    CenterTask task = Task();
    ops.InsertCenters({&task, 1});
  }
  ops.After([this, rows] {
    if (store_.size() > rows) {  // those behind are what was left over
      ResizeNeighbors(rows);
      ResizeRows(rows);
    }
    // Rows go and memory is freed only when the backend has chosen the centers
    // that stay.
    store_.SetLimit(rows);
    neighbors_.SetLimit(rows + 1);
    if (metric_.weighted()) alignments_.SetLimit(rows + 1);
    if (!metric_.counted()) return;
    counts_.SetLimit(rows);
    bias_.SetLimit(rows);
  });
}

double KCenterHead::MeanSquare() const {
  return totals_[0] / static_cast<double>(entered_);
}

void KCenterHead::AddRows(std::vector<WeightedRows>* out) const {
  WeightedRows rows = store_.View();
  // A center stands for several tokens in the partition and in the sum of
  // values alike.
  rows.partition_bias = rows.value_bias = bias_.span();
  out->push_back(rows);
}

void KCenterHead::Save(ByteWriter* out) const {
  SaveAll(out, store_, counts_, neighbors_, alignments_, totals_);
}

absl::Status KCenterHead::Load(ByteReader* in, int64_t entered) {
  const int64_t totals = totals_.size();
  RETURN_IF_ERROR(
      LoadAll(in, &store_, &counts_, &neighbors_, &alignments_, &totals_));
  entered_ = entered;
  const int64_t rows = store_.size();
  RETURN_IF_ERROR(CheckSaved(
      rows <= entered && counts_.size() == (metric_.counted() ? rows : 0) &&
          neighbors_.size() == rows &&
          alignments_.size() == (metric_.weighted() ? rows : 0),
      "the number of centers"));
  RETURN_IF_ERROR(CheckSaved(totals_.size() == totals && totals_[0] >= 0.0,
                             "the size of the values"));
  for (const double x : totals_.span()) {
    RETURN_IF_ERROR(CheckSaved(std::isfinite(x), "the means"));
  }
  return metric_.counted() ? LoadCounts(entered) : absl::OkStatus();
}

absl::Status KCenterHead::LoadCounts(int64_t entered) {
  int64_t sum = 0;
  bias_.Resize(counts_.size());
  for (int64_t i = 0; i < counts_.size(); ++i) {
    RETURN_IF_ERROR(CheckSaved(counts_[i] >= 1, "a count"));
    sum += counts_[i];
    // Biases follow from counts, so they are not saved.
    bias_[i] = metric_.Bias(counts_[i]);
  }
  bias_.Written(0, bias_.size());
  return CheckSaved(sum <= entered, "the sum of the counts");
}

namespace {

CenterMetric MetricOf(const SubgenConfig& config) {
  CenterMetric metric;
  const bool both = config.metric == "key_value";
  metric.keys = config.metric == "key";
  metric.directions = metric.balanced = both;
  metric.values = both || config.metric == "value";
  metric.distinctiveness_exponent = config.distinctiveness_exponent;
  metric.count_exponent = config.count_exponent;
  return metric;
}

}  // namespace

PolicyCosts KCenterCosts(const CacheConfig& config, const CacheShape& shape,
                         RowLayout layout) {
  const CenterMetric metric = MetricOf(config.subgen);
  const int64_t neighbors =
      2 * sizeof(Neighbor) + (metric.weighted() ? sizeof(float) : 0);
  const int64_t count =
      metric.counted() ? sizeof(int32_t) + sizeof(float) : 0;  // and log-weight
  // Besides rows there are the neighbors of the token at hand and the totals.
  const int64_t totals = 1 + (metric.weighted() ? shape.head_dim : 0);
  return {2 * layout.Exact().row_bytes() + neighbors + count,
          2 * layout.row_bytes() + neighbors + count,
          neighbors + totals * static_cast<int64_t>(sizeof(double))};
}

std::string KCenterSettings(const CacheConfig& config) {
  const SubgenConfig& subgen = config.subgen;
  return absl::StrCat("k_center metric ", subgen.metric, " distinctiveness ",
                      subgen.distinctiveness_exponent, " exponent ",
                      subgen.count_exponent, ", ");
}

SketchMaker MakeKCenter(const PolicySetup& setup) {
  return [metric = MetricOf(setup.config.subgen)](const SketchPlace& place) {
    return std::make_unique<SketchOfHeads<KCenterHead>>(place, metric);
  };
}

}  // namespace subgen
