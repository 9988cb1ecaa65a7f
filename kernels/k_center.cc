#include "kernels/k_center.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "absl/functional/function_ref.h"
#include "kernels/backend.h"
#include "kernels/base/check.h"
#include "kernels/mean_key.h"

namespace subgen {
namespace {

class HostCenters {
 public:
  HostCenters(Backend& backend, const CenterTask& task)
      : backend_(backend),
        metric_(task.metric),
        arrays_(task.centers),
        mean_(arrays_.totals.subspan(1)),
        table_(arrays_.neighbors, task.rows),
        rows_(task.rows),
        entered_(task.entered) {}

  void Insert(const CenterTask& task, int64_t i);
  void Shrink() {
    while (rows_ > arrays_.limit) DropLeast();
  }

 private:
  double MeanSquare() const {
    return arrays_.totals[0] / static_cast<double>(entered_);
  }
  WeightedRows Centers() const {
    WeightedRows centers;
    centers.keys = arrays_.KeyRows(rows_);
    centers.values = arrays_.ValueRows(rows_);
    return centers;
  }
  RowPoint Center(int64_t i) const {
    return RowPoint(arrays_.KeyRows(rows_), arrays_.ValueRows(rows_), i);
  }
  void DropLeast();
  void Enter(const RowPoint& point) {
    ++entered_;
    AddToTotals(metric_, point.key, point.value, arrays_.totals);
  }
  void CopyRow(int64_t i, const std::byte* key, const std::byte* value);
  void SetRow(int64_t i, const CenterTask& task, int64_t token);
  void AddCount(int64_t i, int32_t count);
  void Compare(const RowPoint& point, Vector<float> squared);
  void Exchange(const CenterTask& task, int64_t token,
                Vector<const float> squared);
  // The row that goes. `squared`: distances of the token at hand, the last of
  // the table; empty: there is none.
  int64_t Choose(Vector<const float> squared);

  Backend& backend_;
  const CenterMetric& metric_;
  const CenterArrays& arrays_;
  MeanKey mean_;
  NeighborTable table_;
  int64_t rows_, entered_;
};

// Told at once: the next distances are of this row too.
void HostCenters::CopyRow(int64_t i, const std::byte* key,
                          const std::byte* value) {
  const size_t bytes = RowBytes(arrays_.format, arrays_.dim);
  const Vector<std::byte> to_key(arrays_.keys + i * bytes, bytes);
  const Vector<std::byte> to_value(arrays_.values + i * bytes, bytes);
  std::memcpy(to_key.data(), key, bytes);
  std::memcpy(to_value.data(), value, bytes);
  WrittenByHost(backend_, to_key);
  WrittenByHost(backend_, to_value);
}

void HostCenters::SetRow(int64_t i, const CenterTask& task, int64_t token) {
  CopyRow(i, task.keys.row(token), task.values.row(token));
  if (metric_.counted()) arrays_.counts[i] = 0;
  AddCount(i, 1);
}

void HostCenters::AddCount(int64_t i, int32_t count) {
  if (!metric_.counted()) return;
  arrays_.counts[i] += count;
  arrays_.bias[i] = metric_.Bias(arrays_.counts[i]);
}

void HostCenters::Insert(const CenterTask& task, int64_t i) {
  const RowPoint point(task.keys, task.values, i);
  Enter(point);
  std::vector<float> squared(rows_);
  Compare(point, squared);
  if (rows_ == arrays_.limit) return Exchange(task, i, squared);
  SetRow(rows_++, task, i);
}

// The token joins the neighbors, behind the rows.
void HostCenters::Compare(const RowPoint& point, Vector<float> squared) {
  std::vector<float> directions(metric_.weighted() ? rows_ : 0);
  MetricDistances(backend_, metric_, MeanSquare(), {point, Centers()},
                  {squared, directions});
  for (int64_t j = 0; metric_.weighted() && j < rows_; ++j) {
    arrays_.alignments[j] += 1.0f - 0.5f * directions[j];  // the cosine
  }
  if (metric_.weighted()) {
    arrays_.alignments[rows_] = mean_.Alignment(point.key);
  }
  table_.Add(squared);
}

void HostCenters::Exchange(const CenterTask& task, int64_t token,
                           Vector<const float> squared) {
  const int64_t last = rows_, drop = Choose(squared);
  const int64_t heir = table_[drop].row;  // < 0: no distance is a finite number
  table_.Remove(drop);
  if (metric_.weighted()) arrays_.alignments[drop] = arrays_.alignments[last];
  if (drop == last) {
    if (heir >= 0) AddCount(heir, 1);
    return;
  }
  const int32_t count = metric_.counted() ? arrays_.counts[drop] : 0;
  SetRow(drop, task, token);
  if (heir >= 0) AddCount(heir == last ? drop : heir, count);
}

int64_t HostCenters::Choose(Vector<const float> squared) {
  const NeighborTable::DistancesOf distances_of = [&](int64_t row,
                                                      Vector<float> out) {
    if (row == rows_) {
      std::copy(squared.begin(), squared.end(), out.begin());
      return;
    }
    MetricDistances(backend_, metric_, MeanSquare(), {Center(row), Centers()},
                    {out.first(rows_), {}});
    if (!squared.empty()) out[rows_] = squared[row];
  };
  std::vector<float> weights(metric_.weighted() ? table_.size() : 0);
  if (metric_.weighted()) {
    mean_.Weigh(arrays_.alignments, metric_.distinctiveness_exponent, weights);
  }
  const int64_t least = table_.Least(weights, distances_of);
  const int64_t partner = table_[least].row;
  if (metric_.weighted() || partner < 0) return least;
  // Of the closest pair, the one nearer to the rest.
  const int64_t low = std::min(least, partner), high = std::max(least, partner);
  return table_.Rest(low, high, distances_of) <
                 table_.Rest(high, low, distances_of)
             ? low
             : high;
}

void HostCenters::DropLeast() {
  const int64_t drop = Choose({}), last = rows_ - 1;
  const int64_t heir = table_[drop].row;
  const int64_t bytes = RowBytes(arrays_.format, arrays_.dim);
  if (heir >= 0 && metric_.counted()) AddCount(heir, arrays_.counts[drop]);
  table_.Remove(drop);
  rows_ = last;
  if (drop == last) return;
  CopyRow(drop, arrays_.keys + last * bytes, arrays_.values + last * bytes);
  if (metric_.weighted()) arrays_.alignments[drop] = arrays_.alignments[last];
  if (!metric_.counted()) return;
  arrays_.counts[drop] = arrays_.counts[last];
  arrays_.bias[drop] = arrays_.bias[last];
}

// The arrays are the host's while it works on them.
void ForHost(Backend& backend, const CenterTask& task,
             absl::FunctionRef<void()> work) {
  const CenterArrays& arrays = task.centers;
  const int64_t bytes = task.most_rows() * RowBytes(arrays.format, arrays.dim);
  const auto visit = [&](const auto& each) {
    each(Vector<std::byte>(arrays.keys, bytes));
    each(Vector<std::byte>(arrays.values, bytes));
    each(arrays.counts);
    each(arrays.bias);
    each(arrays.neighbors.rows);
    each(arrays.neighbors.squared);
    each(arrays.neighbors.second_rows);
    each(arrays.neighbors.second_squared);
    each(arrays.alignments);
    each(arrays.totals);
  };
  visit([&](auto array) { ReadByHost(backend, array); });
  work();
  // Rows are told of one by one.
  visit([&](auto array) {
    if constexpr (!std::is_same_v<decltype(array), Vector<std::byte>>) {
      WrittenByHost(backend, array);
    }
  });
}

}  // namespace

float CenterMetric::ValueFactor(double mean_square) const {
  if (!balanced) return 1.0f;
  return static_cast<float>(mean_square > 0.0 ? 1.0 / mean_square : 0.0);
}

float CenterMetric::Bias(int32_t count) const {
  return static_cast<float>(count_exponent * std::log(count));
}

RowPoint::RowPoint(const Rows& keys, const Rows& values, int64_t row)
    : key(keys.dim), value(values.dim) {
  DecodeRow(keys.format, keys.row(row), key);
  DecodeRow(values.format, values.row(row), value);
}

void MetricDistances(Backend& backend, const CenterMetric& metric,
                     double mean_square, const PointAndRows& of,
                     const MetricParts& out) {
  const size_t count = out.squared.size();
  const bool directions = !out.directions.empty();
  std::vector<float> keys(metric.keys ? count : 0);
  std::vector<float> values(metric.values ? count : 0);
  std::vector<float> own(metric.directions && !directions ? count : 0);
  const Vector<float> turned = directions ? out.directions : own;
  std::vector<DistanceTask> tasks;
  const auto add = [&](Vector<float> squared, bool of_values, bool directions) {
    if (squared.empty()) return;
    tasks.push_back({of_values ? of.point.value : of.point.key,
                     of_values ? of.rows.values : of.rows.keys, squared,
                     directions});
  };
  add(keys, false, false);
  add(turned, false, true);
  add(values, true, false);
  backend.Distances(tasks);
  const float factor = metric.ValueFactor(mean_square);
  for (size_t i = 0; i < count; ++i) {
    float sum = metric.keys ? keys[i] : 0.0f;
    if (metric.directions) sum += turned[i];
    if (metric.values) sum += factor * values[i];
    out.squared[i] = sum;
  }
}

void InsertCentersOnHost(Backend& backend, const CenterTask& task) {
  SUBGEN_CHECK(task.rows <= task.centers.limit || task.tokens() == 0);
  ForHost(backend, task, [&] {
    HostCenters centers(backend, task);
    centers.Shrink();
    for (int64_t i = 0; i < task.tokens(); ++i) centers.Insert(task, i);
  });
}

void AddToTotals(const CenterMetric& metric, Vector<const float> key,
                 Vector<const float> value, Vector<double> totals) {
  double squares = 0.0;
  for (const float x : value) squares += static_cast<double>(x) * x;
  if (std::isfinite(squares)) totals[0] += squares;
  if (metric.weighted()) MeanKey(totals.subspan(1)).Add(key);
}

}  // namespace subgen
