// The centers of SubGen's k-center mode (arXiv 2402.06082, section 4.1; what is
// ours: engine/cache/README.md), as a backend keeps them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/neighbors.h"
#include "kernels/weighted_rows.h"

namespace subgen {

class RowOps;

// A squared distance between tokens is the sum of the parts that are set.
struct CenterMetric {
  bool keys = false;        // |k - k'|^2
  bool directions = false;  // |k / |k| - k' / |k'||^2
  bool values = false;      // |v - v'|^2
  bool balanced = false;    // values over the mean of |v|^2
  // A center that goes is one of the least distance to its neighbor times
  // (1 - cos(key, mean of the unit keys))^(2 exponent); the closest pair and of
  // it the one nearer to the rest, where the exponent is 0.
  int distinctiveness_exponent = 0;
  double count_exponent = 0.0;  // of the log-weight of a center

  bool weighted() const { return distinctiveness_exponent != 0; }
  bool counted() const { return count_exponent != 0.0; }
  // What |v - v'|^2 is multiplied by; mean_square: of |v|^2.
  float ValueFactor(double mean_square) const;
  float Bias(int32_t count) const;
};

// The arrays of the centers of one head. rows: CenterTask::most_rows.
struct CenterArrays {
  RowFormat format = RowFormat::kF32;
  int64_t dim = 0;
  int64_t limit = 0;
  std::byte* keys = nullptr;    // [rows, dim]
  std::byte* values = nullptr;  // [rows, dim]
  Vector<int32_t> counts;       // [rows] tokens of each; empty: not counted
  Vector<float> bias;           // [rows] count_exponent * log(count), as counts
  // Of each the nearest others, and unit key . sum of unit keys: [rows], one
  // more with tokens that exchange. No alignments where not weighted.
  NeighborArrays neighbors;
  Vector<float> alignments;
  Vector<double> totals;  // of all tokens: |v|^2 [1], and where
                          // weighted the unit keys [dim]

  Rows KeyRows(int64_t count) const { return {format, keys, count, dim}; }
  Rows ValueRows(int64_t count) const { return {format, values, count, dim}; }
};

// Tokens that join the centers of a head, one after another: each takes a row
// while there is room; then, each time, the least of centers and token goes and
// its neighbor takes its count. Or no tokens and more rows than the limit: the
// least go, each time the last row takes the place of the one that went.
struct CenterTask {
  CenterMetric metric;
  CenterArrays centers;
  int64_t rows = 0;     // centers before
  int64_t entered = 0;  // tokens before
  Rows keys, values;    // of the tokens, in the format of the centers

  int64_t tokens() const { return keys.count; }
  // That the arrays have room for.
  int64_t most_rows() const {
    return std::max(rows, std::min(centers.limit, rows + tokens()));
  }
  bool exchanges() const { return rows + tokens() > centers.limit; }
};

// A key and a value as floats.
struct RowPoint {
  std::vector<float> key, value;  // [dim]

  RowPoint(const Rows& keys, const Rows& values, int64_t row);
};

struct PointAndRows {
  const RowPoint& point;
  WeightedRows rows;
};
struct MetricParts {
  Vector<float> squared;     // [rows] the metric's
  Vector<float> directions;  // [rows] those of the directions of the keys
                             // alone, or empty
};
// The squared distances of a point to rows, with the distances of `ops`.
// mean_square: of |v|^2.
void MetricDistances(RowOps& ops, const CenterMetric& metric,
                     double mean_square, const PointAndRows& of,
                     const MetricParts& out);

// Takes a token into CenterArrays::totals.
void AddToTotals(const CenterMetric& metric, Vector<const float> key,
                 Vector<const float> value, Vector<double> totals);

}  // namespace subgen
