#include "kernels/k_center.h"

#include <cmath>

#include "kernels/mean_key.h"
#include "kernels/row_ops.h"

namespace subgen {

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

void MetricDistances(RowOps& ops, const CenterMetric& metric,
                     double mean_square, const PointAndRows& of,
                     const MetricParts& out) {
  const size_t count = out.squared.size();
  const bool directions = !out.directions.empty();
  std::vector<float> keys(metric.keys ? count : 0);
  std::vector<float> values(metric.values ? count : 0);
  // The directions are computed once, whether the caller wants them, the metric
  // needs them, or both.
  std::vector<float> own(metric.directions && !directions ? count : 0);
  const Vector<float> turned = directions ? out.directions : own;
  std::vector<DistanceTask> tasks;
  const auto add = [&](Vector<float> squared, bool of_values, bool directions) {
    if (squared.empty()) return;
    tasks.push_back({of_values ? of.point.value : of.point.key,
                     of_values ? of.rows.values : of.rows.keys, squared,
                     directions});
  };
  // All parts go to the device in one call, so that it can share out their work
  // together.
  add(keys, false, false);
  add(turned, false, true);
  add(values, true, false);
  ops.Distances(tasks);
  const float factor = metric.ValueFactor(mean_square);
  for (size_t i = 0; i < count; ++i) {
    float sum = metric.keys ? keys[i] : 0.0f;
    if (metric.directions) sum += turned[i];
    if (metric.values) sum += factor * values[i];
    out.squared[i] = sum;
  }
}

void AddToTotals(const CenterMetric& metric, Vector<const float> key,
                 Vector<const float> value, Vector<double> totals) {
  double squares = 0.0;
  for (const float x : value) squares += static_cast<double>(x) * x;
  // The totals last as long as the sketch: one value that is not finite would
  // spoil all later distances.
  if (std::isfinite(squares)) totals[0] += squares;
  if (metric.weighted()) MeanKey(totals.subspan(1)).Add(key);
}

}  // namespace subgen
