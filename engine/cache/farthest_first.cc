#include "engine/cache/farthest_first.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace subgen {
namespace {

// Distances of one row to all, in pieces that a backend can share out.
void DistancesTo(const Rows& rows, int64_t row, Backend& backend,
                 Vector<float> squared) {
  constexpr int64_t kPiece = 1024;
  std::vector<float> point(rows.dim);
  DecodeRow(rows.format, rows.row(row), point);
  std::vector<DistanceTask> tasks;
  for (int64_t first = 0; first < rows.count; first += kPiece) {
    const int64_t count = std::min(kPiece, rows.count - first);
    const Rows piece = {rows.format, rows.row(first), count, rows.dim};
    tasks.push_back({point, piece, squared.subspan(first, count)});
  }
  backend.Distances(tasks);
}

// Centres in ascending order of rows, with the sizes of their clusters.
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

Centers FarthestFirst(const Rows& rows, int64_t k, Backend& backend) {
  SUBGEN_CHECK(rows.count >= 1 && k >= 1);
  std::vector<float> nearest(rows.count,
                             std::numeric_limits<float>::infinity());
  std::vector<float> squared(rows.count);
  std::vector<int32_t> owner(rows.count, 0);
  std::vector<int64_t> chosen;
  int64_t next = 0;
  do {
    const int32_t center = static_cast<int32_t>(chosen.size());
    DistancesTo(rows, next, backend, squared);
    for (int64_t i = 0; i < rows.count; ++i) {
      if (!(squared[i] < nearest[i])) continue;
      nearest[i] = squared[i];
      owner[i] = center;
    }
    nearest[next] = -1.0f;  // never chosen again
    owner[next] = center;
    chosen.push_back(next);
    next = std::max_element(nearest.begin(), nearest.end()) - nearest.begin();
  } while (static_cast<int64_t>(chosen.size()) < k && nearest[next] > 0.0f);
  return Sorted(chosen, owner);
}

}  // namespace subgen
