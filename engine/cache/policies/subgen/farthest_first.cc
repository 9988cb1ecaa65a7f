#include "engine/cache/policies/subgen/farthest_first.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace subgen {
namespace {

// Returns the centers in ascending order of rows, with the sizes of their
// clusters.
Centers Sorted(const std::vector<int64_t>& chosen,
               const std::vector<int32_t>& owner) {
  std::vector<int32_t> counts(chosen.size());
  for (const int32_t center : owner) ++counts[center];
  std::vector<size_t> order(chosen.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return chosen[a] < chosen[b]; });
  Centers centers;
  for (const size_t i : order) {
    centers.rows.push_back(chosen[i]);
    centers.counts.push_back(counts[i]);
  }
  return centers;
}

}  // namespace

Centers FarthestFirst(const FarthestFirstRows& rows, int64_t k) {
  SUBGEN_CHECK(rows.count >= 1 && k >= 1);
  const auto weight = [&](int64_t i) {
    return rows.weights.empty() ? 1.0f : rows.weights[i];
  };
  std::vector<float> nearest(rows.count,
                             std::numeric_limits<float>::infinity());
  std::vector<float> squared(rows.count);
  std::vector<int32_t> owner(rows.count, 0);
  std::vector<int64_t> chosen;
  int64_t next = 0;
  for (int64_t i = 1; i < rows.count; ++i) {
    if (weight(i) > weight(next)) next = i;
  }
  float farthest = 0.0f;
  // When the farthest row is at distance 0, the rest are copies of centers:
  // these would add nothing.
  do {
    const int32_t center = static_cast<int32_t>(chosen.size());
    rows.distances_of(next, squared);
    for (int64_t i = 0; i < rows.count; ++i) {
      // So written that a distance that is no number changes nothing.
      if (!(squared[i] < nearest[i])) continue;
      nearest[i] = squared[i];
      owner[i] = center;
    }
    nearest[next] = 0.0f;  // never chosen again
    owner[next] = center;
    chosen.push_back(next);
    farthest = 0.0f;
    for (int64_t i = 0; i < rows.count; ++i) {
      if (!(weight(i) * nearest[i] > farthest)) continue;
      farthest = weight(i) * nearest[i];
      next = i;
    }
  } while (static_cast<int64_t>(chosen.size()) < k && farthest > 0.0f);
  return Sorted(chosen, owner);
}

}  // namespace subgen
