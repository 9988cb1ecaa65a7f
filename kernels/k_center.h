// These are the centers of SubGen's k-center mode (arXiv 2402.06082, section
// 4.1; what differs from the paper: engine/cache/README.md), as a backend keeps
// them.
//
// Each token that joins takes three steps: its distances from the centers are
// measured, the neighbor links of all rows take it in, and a row is chosen that
// goes. These steps are written in several places; whoever changes one must
// change the others:
//   reference/k_center.cc           all steps, with MetricDistances (here),
//                                   NeighborTable and MeanKey
//   cpu/cache/k_center.cc, cpu/cache/k_center_distances-inl.h     distances
//   cpu/cache/k_center_rows-inl.h                          links and choice
//   cuda/cache/k_center_plan.cc, cuda/cache/k_center.cu           distances
//   cuda/cache/k_center_block.h, k_center_totals.h         links and choice
// The centers of a whole prompt are chosen and linked at once, in
// k_center_prompt.cc and farthest_first of engine/cache/policies/subgen.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/neighbors.h"
#include "kernels/weighted_rows.h"

namespace subgen {

class RowOps;

// A squared distance between two tokens is the sum of the parts that are set.
struct CenterMetric {
  bool keys = false;        // |k - k'|^2
  bool directions = false;  // |k / |k| - k' / |k'||^2
  bool values = false;      // |v - v'|^2
  bool balanced = false;    // values over the mean of |v|^2
  // The center that goes has the least product of the distance to its neighbor
  // and (1 - cos(key, mean of the unit keys))^(2 exponent). Where the exponent
  // is 0, it is the one of the closest pair that is nearer to the rest.
  int distinctiveness_exponent = 0;
  double count_exponent = 0.0;  // of a center's log-weight

  bool weighted() const { return distinctiveness_exponent != 0; }
  bool counted() const { return count_exponent != 0.0; }
  // |v - v'|^2 is multiplied by this factor; mean_square: the mean of |v|^2.
  float ValueFactor(double mean_square) const;
  float Bias(int32_t count) const;
};

// These are the arrays of one head's centers. rows: CenterTask::most_rows.
struct CenterArrays {
  RowFormat format = RowFormat::kF32;
  int64_t dim = 0;
  int64_t limit = 0;
  std::byte* keys = nullptr;    // [rows, dim]
  std::byte* values = nullptr;  // [rows, dim]
  Vector<int32_t> counts;       // [rows] tokens of each; empty: not counted
  Vector<float> bias;           // [rows] count_exponent * log(count), as counts
  // Each row has its nearest others, and unit key . sum of unit keys. Both are
  // [rows], and one more if tokens exchange. There are no alignments where the
  // metric is not weighted.
  NeighborArrays neighbors;
  Vector<float> alignments;
  Vector<double> totals;  // of all tokens: |v|^2 [1], and where
                          // weighted the unit keys [dim]

  Rows KeyRows(int64_t count) const { return {format, keys, count, dim}; }
  Rows ValueRows(int64_t count) const { return {format, values, count, dim}; }
};

// Tokens join the centers of a head one after another. Each takes a row while
// there is room. After that, each time, the least of the centers and the token
// goes, and its neighbor takes over its count. Or there are no tokens and more
// rows than the limit: then the least go, and each time the last row takes the
// place of the one that went.
struct CenterTask {
  CenterMetric metric;
  CenterArrays centers;
  int64_t rows = 0;     // centers before
  int64_t entered = 0;  // tokens before
  Rows keys, values;    // of the tokens, in the format of the centers

  int64_t tokens() const { return keys.count; }
  // The arrays have room for so many.
  int64_t most_rows() const {
    return std::max(rows, std::min(centers.limit, rows + tokens()));
  }
  bool exchanges() const { return rows + tokens() > centers.limit; }
};

// This is a key and a value as floats.
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
// Computes the squared distances from a point to rows by the distances of
// `ops`. mean_square: the mean of |v|^2.
void MetricDistances(RowOps& ops, const CenterMetric& metric,
                     double mean_square, const PointAndRows& of,
                     const MetricParts& out);

// Takes a token into CenterArrays::totals.
void AddToTotals(const CenterMetric& metric, Vector<const float> key,
                 Vector<const float> value, Vector<double> totals);

}  // namespace subgen
