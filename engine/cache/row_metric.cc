#include "engine/cache/row_metric.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace subgen {

absl::StatusOr<RowMetric> RowMetric::Parse(absl::string_view name) {
  RowMetric metric;
  if (name == "key") {
    metric.parts_ = {RowPart::kKey};
  } else if (name == "value") {
    metric.parts_ = {RowPart::kValue};
  } else if (name == "key_value") {
    metric.parts_ = {RowPart::kDirection, RowPart::kValue};
    metric.joint_ = true;
  } else {
    return absl::InvalidArgumentError(absl::StrCat(
        "cache.subgen.metric = ", name, ": legal are key, value, key_value"));
  }
  return metric;
}

RowMetric RowMetric::WithDirections() const {
  RowMetric metric = *this;
  if (!joint_) metric.parts_.push_back(RowPart::kDirection);
  return metric;
}

float RowMetric::Factor(RowPart part, double scale) const {
  if (!joint_) return part == RowPart::kDirection ? 0.0f : 1.0f;
  if (part == RowPart::kDirection) return 1.0f;
  return static_cast<float>(scale > 0.0 ? 1.0 / scale : 0.0);
}

RowPoint::RowPoint(const RowLayout& layout, EncodedRow row)
    : key(layout.head_dim), value(layout.head_dim) {
  DecodeRow(layout.format, row.key, key);
  DecodeRow(layout.format, row.value, value);
}

DistanceTask PartTask(RowPart part, const RowPoint& point,
                      const WeightedRows& rows, Vector<float> squared) {
  if (part == RowPart::kValue) return {point.value, rows.values, squared};
  return {point.key, rows.keys, squared, part == RowPart::kDirection};
}

void SumParts(const RowMetric& metric, double scale, const RowPoint& point,
              const WeightedRows& rows, Backend& backend,
              Vector<float> squared) {
  const size_t count = squared.size();
  std::vector<float> all(metric.parts().size() * count);
  std::vector<DistanceTask> tasks;
  for (size_t p = 0; p < metric.parts().size(); ++p) {
    tasks.push_back(PartTask(metric.parts()[p], point, rows,
                             Vector<float>(all).subspan(p * count, count)));
  }
  backend.Distances(tasks);
  std::fill(squared.begin(), squared.end(), 0.0f);
  for (size_t p = 0; p < metric.parts().size(); ++p) {
    const float factor = metric.Factor(metric.parts()[p], scale);
    for (size_t i = 0; i < count; ++i)
      squared[i] += factor * tasks[p].squared[i];
  }
}

}  // namespace subgen
