#include "engine/cache/policies/best_rows.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace subgen {

std::vector<int64_t> BestRows(Vector<const double> scores, int64_t keep) {
  const auto rank = [&](int64_t row) {
    const double score = scores[row];
    // A NaN is in no order with other numbers, which nth_element needs.
    return std::isnan(score) ? -std::numeric_limits<double>::infinity() : score;
  };
  std::vector<int64_t> rows(scores.size());
  std::iota(rows.begin(), rows.end(), int64_t{0});
  if (keep >= static_cast<int64_t>(rows.size())) return rows;
  std::nth_element(rows.begin(), rows.begin() + keep, rows.end(),
                   [&](int64_t a, int64_t b) {
                     const double x = rank(a), y = rank(b);
                     return x != y ? x > y : a > b;
                   });
  rows.resize(keep);
  // In ascending order a caller can move rows to the front in place: a row
  // never goes where one lies that is still to be moved.
  std::sort(rows.begin(), rows.end());
  return rows;
}

}  // namespace subgen
