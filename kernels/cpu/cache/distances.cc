#include "kernels/cpu/cache/distances.h"

#include <algorithm>
#include <vector>

#include "kernels/cpu/attention/attention_piece.h"
#include "kernels/reference/algorithm1.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/cache/distances.cc"
#include "kernels/cpu/simd/simd.h"
// The order matters: the targets come first, then this file once for each of
// them, then the operations.
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/cache/distances-inl.h"

#if HWY_ONCE
namespace subgen::cpu {

HWY_EXPORT(DistanceRows);

// Returns whether two tasks can share the reading of their rows.
static bool Alike(const DistanceTask& a, const DistanceTask& b) {
  return a.rows.data == b.rows.data && a.rows.count == b.rows.count &&
         a.rows.dim == b.rows.dim && a.rows.format == b.rows.format &&
         a.directions == b.directions;
}

void Distances(Context& context, Vector<const DistanceTask> tasks) {
  constexpr int64_t kPieceRows = 4 * kRowTile;
  struct Piece {
    Vector<const DistanceTask> tasks;
    Range rows;
  };
  std::vector<Piece> pieces;
  int64_t multiply_adds = 0, most_floats = 0;
  for (size_t t = 0; t < tasks.size();) {
    const Rows& rows = tasks[t].rows;
    size_t end = t;
    // Neighboring tasks over the same rows are taken together, so that each row
    // is loaded once for up to kMostPoints points.
    for (; end < tasks.size() && end < t + size_t{kMostPoints}; ++end) {
      const DistanceTask& task = tasks[end];
      if (!Alike(tasks[t], task)) break;
      SUBGEN_CHECK(static_cast<int64_t>(task.squared.size()) == rows.count);
      SUBGEN_CHECK(rows.count == 0 ||
                   static_cast<int64_t>(task.point.size()) == rows.dim);
    }
    multiply_adds += (end - t) * rows.count * rows.dim;
    most_floats = std::max(most_floats, DistanceScratch(rows.dim));
    for (int64_t row = 0; row < rows.count; row += kPieceRows) {
      pieces.push_back({tasks.subspan(t, end - t),
                        {row, std::min(kPieceRows, rows.count - row)}});
    }
    t = end;
  }
  context.Run(pieces.size(), multiply_adds, [&](int64_t i, int worker) {
    HWY_DYNAMIC_DISPATCH(DistanceRows)
    (pieces[i].tasks, pieces[i].rows,
     context.worker_scratch[worker].Get(most_floats));
  });
}

void InsertClusters(Context& context, Vector<const ClusterTask> tasks) {
  int64_t multiply_adds = 0;
  for (const ClusterTask& task : tasks) {
    multiply_adds += task.tokens() * task.arrays.room() * task.arrays.dim;
  }
  context.Run(tasks.size(), multiply_adds, [&](int64_t i, int worker) {
    const auto distances_of = [&](Vector<const float> point, const Rows& rows,
                                  Vector<float> squared) {
      const DistanceTask task = {point, rows, squared};
      HWY_DYNAMIC_DISPATCH(DistanceRows)
      ({&task, 1}, {0, rows.count},
       context.worker_scratch[worker].Get(DistanceScratch(rows.dim)));
    };
    // The reference's algorithm is used as it is, with faster distances.
    reference::InsertClusters(tasks[i], distances_of);
  });
}

}  // namespace subgen::cpu
#endif
