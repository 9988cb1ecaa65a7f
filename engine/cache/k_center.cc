// What the centers are kept in, and the policy.
#include <cmath>

#include "absl/strings/str_cat.h"
#include "engine/cache/k_center_sketch.h"
#include "engine/cache/policies.h"

namespace subgen {

KCenterSketch::KCenterSketch(const SketchPlace& place,
                             const CenterMetric& metric)
    : place_(place),
      metric_(metric),
      limit_(place.rows),
      store_(place.layout, limit_),
      counts_(metric.counted() ? limit_ : 0, 1, 64, place.layout.mirror),
      bias_(metric.counted() ? limit_ : 0, 1, 64, place.layout.mirror),
      links_(limit_ + 1, place.layout.mirror),
      alignments_(metric.weighted() ? limit_ + 1 : 0, 1, 64,
                  place.layout.mirror),
      totals_(1 + (metric.weighted() ? place.layout.head_dim : 0), 1, 1,
              place.layout.mirror) {
  totals_.Resize(1 + (metric.weighted() ? place.layout.head_dim : 0));
}

KCenterSketch::Links::Links(int64_t limit, Mirror* mirror)
    : rows(limit, 1, 64, mirror),
      second_rows(limit, 1, 64, mirror),
      squared(limit, 1, 64, mirror),
      second_squared(limit, 1, 64, mirror) {}

ByteUse KCenterSketch::Links::bytes() const {
  return rows.bytes() + squared.bytes() + second_rows.bytes() +
         second_squared.bytes();
}

void KCenterSketch::Links::Resize(int64_t size) {
  rows.Resize(size);
  squared.Resize(size);
  second_rows.Resize(size);
  second_squared.Resize(size);
}

void KCenterSketch::Links::SetLimit(int64_t limit) {
  rows.SetLimit(limit);
  squared.SetLimit(limit);
  second_rows.SetLimit(limit);
  second_squared.SetLimit(limit);
}

NeighborArrays KCenterSketch::Links::span() {
  return {rows.span(), squared.span(), second_rows.span(),
          second_squared.span()};
}

void KCenterSketch::Links::Written() {
  rows.Written(0, size());
  squared.Written(0, size());
  second_rows.Written(0, size());
  second_squared.Written(0, size());
}

void KCenterSketch::Links::Save(ByteWriter* out) const {
  rows.Save(out);
  squared.Save(out);
  second_rows.Save(out);
  second_squared.Save(out);
}

absl::Status KCenterSketch::Links::Load(ByteReader* in) {
  RETURN_IF_ERROR(rows.Load(in));
  RETURN_IF_ERROR(squared.Load(in));
  RETURN_IF_ERROR(second_rows.Load(in));
  RETURN_IF_ERROR(second_squared.Load(in));
  RETURN_IF_ERROR(CheckSaved(squared.size() == size() &&
                                 second_rows.size() == size() &&
                                 second_squared.size() == size(),
                             "the number of neighbors"));
  const auto legal = [&](int32_t row, float distance, int64_t of) {
    return row >= -1 && row < size() && row != of && distance >= 0.0f;
  };
  for (int64_t i = 0; i < size(); ++i) {
    RETURN_IF_ERROR(CheckSaved(legal(rows[i], squared[i], i) &&
                                   legal(second_rows[i], second_squared[i], i),
                               "a neighbor"));
  }
  return absl::OkStatus();
}

void KCenterSketch::ResizeLinks(int64_t rows) {
  links_.Resize(rows);
  if (metric_.weighted()) alignments_.Resize(rows);
}

void KCenterSketch::ResizeRows(int64_t rows) {
  store_.Resize(rows);
  if (!metric_.counted()) return;
  counts_.Resize(rows);
  bias_.Resize(rows);
}

CenterTask KCenterSketch::Task() {
  CenterTask task;
  task.metric = metric_;
  CenterArrays& arrays = task.centers;
  arrays.format = place_.layout.format;
  arrays.dim = place_.layout.head_dim;
  arrays.limit = limit_;
  arrays.keys = store_.keys();
  arrays.values = store_.values();
  arrays.counts = counts_.span();
  arrays.bias = bias_.span();
  arrays.neighbors = links_.span();
  arrays.alignments = alignments_.span();
  arrays.totals = totals_.span();
  task.rows = store_.size();
  task.entered = entered_;
  return task;
}

void KCenterSketch::AddTasks(const LeavingTokens& tokens, SketchTasks* tasks) {
  const int64_t before = store_.size(), count = tokens.count();
  const int64_t after = std::min(limit_, before + count);
  ResizeRows(after);
  ResizeLinks(std::min(limit_ + 1, before + count));  // and the token at hand
  CenterTask task = Task();
  ResizeLinks(after);
  task.rows = before;
  task.keys = tokens.keys;
  task.values = tokens.values;
  entered_ += count;
  tasks->centers.push_back(task);
}

double KCenterSketch::MeanSquare() const {
  return totals_[0] / static_cast<double>(entered_);
}

void KCenterSketch::AddRows(std::vector<WeightedRows>* out) const {
  WeightedRows rows = store_.View();
  rows.partition_bias = rows.value_bias = bias_.span();
  out->push_back(rows);
}

void KCenterSketch::Save(ByteWriter* out) const {
  store_.Save(out);
  counts_.Save(out);
  links_.Save(out);
  alignments_.Save(out);
  totals_.Save(out);
}

absl::Status KCenterSketch::Load(ByteReader* in, int64_t entered) {
  const int64_t totals = totals_.size();
  RETURN_IF_ERROR(store_.Load(in));
  RETURN_IF_ERROR(counts_.Load(in));
  RETURN_IF_ERROR(links_.Load(in));
  RETURN_IF_ERROR(alignments_.Load(in));
  RETURN_IF_ERROR(totals_.Load(in));
  entered_ = entered;
  const int64_t rows = store_.size();
  RETURN_IF_ERROR(CheckSaved(
      rows <= entered && counts_.size() == (metric_.counted() ? rows : 0) &&
          links_.size() == rows &&
          alignments_.size() == (metric_.weighted() ? rows : 0),
      "the number of centers"));
  RETURN_IF_ERROR(CheckSaved(totals_.size() == totals && totals_[0] >= 0.0,
                             "the size of the values"));
  for (const double x : totals_.span()) {
    RETURN_IF_ERROR(CheckSaved(std::isfinite(x), "the means"));
  }
  if (!metric_.counted()) return absl::OkStatus();
  int64_t sum = 0;
  bias_.Resize(rows);
  for (int64_t i = 0; i < rows; ++i) {
    RETURN_IF_ERROR(CheckSaved(counts_[i] >= 1, "a count"));
    sum += counts_[i];
    bias_[i] = metric_.Bias(counts_[i]);
  }
  bias_.Written(0, rows);
  return CheckSaved(sum <= entered, "the sum of the counts");
}

namespace {

absl::Status CheckKCenter(const SubgenConfig& config) {
  if (!(config.count_exponent >= 0.0 && config.count_exponent <= 1.0)) {
    return absl::InvalidArgumentError(
        absl::StrCat("cache.subgen.count_exponent = ", config.count_exponent,
                     ": legal is 0 to 1"));
  }
  if (config.distinctiveness_exponent < 0 ||
      config.distinctiveness_exponent > 8) {
    return absl::InvalidArgumentError(
        absl::StrCat("cache.subgen.distinctiveness_exponent = ",
                     config.distinctiveness_exponent, ": legal is 0 to 8"));
  }
  return absl::OkStatus();
}

absl::StatusOr<CenterMetric> ParseMetric(const SubgenConfig& config) {
  RETURN_IF_ERROR(CheckKCenter(config));
  CenterMetric metric;
  const bool both = config.metric == "key_value";
  if (!both && config.metric != "key" && config.metric != "value") {
    return absl::InvalidArgumentError(
        absl::StrCat("cache.subgen.metric = ", config.metric,
                     ": legal are key, value, key_value"));
  }
  metric.keys = config.metric == "key";
  metric.directions = metric.balanced = both;
  metric.values = both || config.metric == "value";
  metric.distinctiveness_exponent = config.distinctiveness_exponent;
  metric.count_exponent = config.count_exponent;
  return metric;
}

}  // namespace

MadePolicy MakeKCenter(const PolicySetup& setup) {
  const SubgenConfig& config = setup.config.subgen;
  ASSIGN_OR_RETURN(const CenterMetric metric, ParseMetric(config));
  SketchPolicyOptions options = setup.Options(absl::StrCat(
      "subgen k_center metric ", config.metric, " distinctiveness ",
      config.distinctiveness_exponent, " exponent ", config.count_exponent));
  options.leaves_tokens = true;
  options.make_sketch = [metric](const SketchPlace& place) {
    return std::make_unique<KCenterSketch>(place, metric);
  };
  return std::make_unique<SketchPolicy>(std::move(options), *setup.backend);
}

}  // namespace subgen
