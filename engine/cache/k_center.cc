// What the centres are kept in, and the policy.
#include <cmath>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "engine/cache/k_center_sketch.h"
#include "engine/cache/policies.h"

namespace subgen {

KCenterSketch::KCenterSketch(const SketchPlace& place,
                             const KCenterOptions& options)
    : place_(place),
      options_(options),
      limit_(place.rows),
      store_(place.layout, limit_),
      counts_(counted() ? limit_ : 0),
      bias_(counted() ? limit_ : 0),
      table_(limit_ + 1),  // with the token at hand
      alignments_(weighted() ? limit_ + 1 : 0) {
  if (weighted()) mean_ = MeanKey(place.layout.head_dim);
}

void KCenterSketch::AddDistances(const LeavingTokens& tokens,
                                 Matrix<float> squared,
                                 std::vector<DistanceTask>* tasks) const {
  if (!Overflows(tokens.count())) return;
  const std::vector<RowPart>& parts = options_.metric.parts();
  for (size_t p = 0; p < parts.size(); ++p) {
    const Matrix<float> columns(squared.data + p * PartColumns(), squared.rows,
                                PartColumns(), squared.stride);
    const bool of_values = parts[p] == RowPart::kValue;
    LeavingTokens compared = tokens;
    if (of_values) {
      compared.keys = tokens.values;
      compared.points = tokens.value_points;
    }
    const size_t first = tasks->size();
    const WeightedRows rows = store_.View();
    AddTokenDistances(compared, of_values ? rows.values : rows.keys, columns,
                      tasks);
    for (size_t i = first; i < tasks->size(); ++i) {
      (*tasks)[i].directions = parts[p] == RowPart::kDirection;
    }
  }
}

void KCenterSketch::SetRow(int64_t i, EncodedRow row, int32_t count) {
  if (counted() && i == store_.size()) {
    counts_.Resize(i + 1);
    bias_.Resize(i + 1);
  }
  store_.Set(i, row);
  if (counted()) counts_[i] = 0;
  AddCount(i, count);
}

void KCenterSketch::AddCount(int64_t i, int32_t count) {
  if (!counted()) return;
  counts_[i] += count;
  bias_[i] = static_cast<float>(options_.count_exponent * std::log(counts_[i]));
}

double KCenterSketch::Scale() const {
  return value_squares_ / static_cast<double>(entered_);
}

void KCenterSketch::Enter(const RowPoint& point) {
  ++entered_;
  double squares = 0.0;
  for (const float x : point.value) squares += static_cast<double>(x) * x;
  if (std::isfinite(squares)) value_squares_ += squares;
  if (weighted()) mean_.Add(point.key);
}

void KCenterSketch::Insert(const LeavingTokens& tokens,
                           Matrix<const float> squared) {
  const int64_t before = store_.size();
  // Column of each part that holds the distances to each row; rows that tokens
  // take are set below.
  std::vector<int64_t> column(Overflows(tokens.count()) ? limit_ : 0);
  std::iota(column.begin(), column.end(), int64_t{0});
  Parts parts(options_.metric.parts().size(),
              std::vector<float>(column.size()));
  for (int64_t i = 0; i < tokens.count(); ++i) {
    const RowPoint point(place_.layout, tokens.row(i));
    int64_t row = store_.size();
    if (!Overflows(1)) {
      Enter(point);
      SetRow(row, tokens.row(i), 1);
    } else {
      for (size_t p = 0; p < parts.size(); ++p) {
        for (int64_t j = 0; j < limit_; ++j) {
          parts[p][j] = squared.row(i)[p * PartColumns() + column[j]];
        }
      }
      row = Exchange(tokens.row(i), point, parts);
    }
    if (row < static_cast<int64_t>(column.size())) column[row] = before + i;
  }
}

void KCenterSketch::AddRows(std::vector<WeightedRows>* out) const {
  WeightedRows rows = store_.View();
  rows.partition_bias = rows.value_bias = bias_.span();
  out->push_back(rows);
}

void KCenterSketch::Save(ByteWriter* out) const {
  store_.Save(out);
  counts_.Save(out);
  table_.Save(out);
  alignments_.Save(out);
  mean_.Save(out);
  out->Put(value_squares_);
}

absl::Status KCenterSketch::Load(ByteReader* in, int64_t entered) {
  RETURN_IF_ERROR(store_.Load(in));
  RETURN_IF_ERROR(counts_.Load(in));
  RETURN_IF_ERROR(table_.Load(in));
  RETURN_IF_ERROR(alignments_.Load(in));
  RETURN_IF_ERROR(mean_.Load(in));
  RETURN_IF_ERROR(in->Get(&value_squares_));
  entered_ = entered;
  const int64_t rows = store_.size(), linked = table_.size();
  RETURN_IF_ERROR(
      CheckSaved(rows <= entered && counts_.size() == (counted() ? rows : 0) &&
                     (linked == 0 || (linked == rows && linked == limit_)) &&
                     alignments_.size() == (weighted() ? linked : 0),
                 "the number of centres"));
  RETURN_IF_ERROR(
      CheckSaved(std::isfinite(value_squares_) && value_squares_ >= 0.0,
                 "the size of the values"));
  if (!counted()) return absl::OkStatus();
  int64_t sum = 0;
  bias_.Resize(rows);
  for (int64_t i = 0; i < rows; ++i) {
    RETURN_IF_ERROR(CheckSaved(counts_[i] >= 1, "a count"));
    sum += counts_[i];
    AddCount(i, 0);
  }
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

}  // namespace

MadePolicy MakeKCenter(const PolicySetup& setup) {
  const SubgenConfig& config = setup.config.subgen;
  RETURN_IF_ERROR(CheckKCenter(config));
  ASSIGN_OR_RETURN(RowMetric metric, RowMetric::Parse(config.metric));
  if (config.distinctiveness_exponent != 0) metric = metric.WithDirections();
  SketchPolicyOptions options = setup.Options(absl::StrCat(
      "subgen k_center metric ", config.metric, " distinctiveness ",
      config.distinctiveness_exponent, " exponent ", config.count_exponent));
  const KCenterOptions k_center = {metric, config.distinctiveness_exponent,
                                   config.count_exponent};
  options.make_sketch = [k_center](const SketchPlace& place) {
    return std::make_unique<KCenterSketch>(place, k_center);
  };
  return std::make_unique<SketchPolicy>(std::move(options), *setup.backend);
}

}  // namespace subgen
