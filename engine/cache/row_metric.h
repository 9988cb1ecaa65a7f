// Distances between rows by which SubGen's centres are chosen.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "engine/cache/sketch.h"

namespace subgen {

// A squared distance is a sum of parts, each of which a backend computes.
enum class RowPart {
  kKey,        // |k - k'|^2
  kDirection,  // |k / |k| - k' / |k'||^2
  kValue,      // |v - v'|^2
};

// key:       |k - k'|^2, as in SubGen's paper
// value:     |v - v'|^2
// key_value: |k / |k| - k' / |k'||^2 + |v - v'|^2 / scale, where `scale` is the
//            mean of |v|^2, so that both have the same say.
class RowMetric {
 public:
  RowMetric() = default;
  static absl::StatusOr<RowMetric> Parse(absl::string_view name);
  // With kDirection among the parts, whether the distance has it or not.
  RowMetric WithDirections() const;

  const std::vector<RowPart>& parts() const { return parts_; }
  // What a part is multiplied by in the sum.
  float Factor(RowPart part, double scale) const;

 private:
  std::vector<RowPart> parts_;
  bool joint_ = false;
};

// A key and a value as floats.
struct RowPoint {
  std::vector<float> key, value;  // [head_dim]

  RowPoint(const RowLayout& layout, EncodedRow row);
};

// The task of one part; `squared` is [rows].
DistanceTask PartTask(RowPart part, const RowPoint& point,
                      const WeightedRows& rows, Vector<float> squared);

// Squared distances of a point to rows, the sum of all parts.
void SumParts(const RowMetric& metric, double scale, const RowPoint& point,
              const WeightedRows& rows, Backend& backend,
              Vector<float> squared);

}  // namespace subgen
