#include "kernels/cpu/clustering.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/cpu/attention_piece.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/clustering.cc"
#include "kernels/cpu/simd.h"
// In this order: the targets, this file once for each, the operations.
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/product-inl.h"

HWY_BEFORE_NAMESPACE();
namespace subgen::cpu::HWY_NAMESPACE {

// Squared distances of four rows, `width` floats apart.
HWY_INLINE void FourDistances(const float* point, const float* rows,
                              int64_t width, float* squared) {
  V sum[4];
  for (V& s : sum) s = hn::Zero(kFloat);
  for (int64_t k = 0; k < width; k += kLanes) {
    const V p = hn::LoadU(kFloat, point + k);
    for (int i = 0; i < 4; ++i) {
      const V difference = hn::Sub(p, hn::LoadU(kFloat, rows + i * width + k));
      sum[i] = hn::MulAdd(difference, difference, sum[i]);
    }
  }
  StoreLaneSums(sum, squared);
}

// Squared distances of the directions of four rows from that of the point,
// whose squared length is `length`. Where two directions are one, rounding
// leaves up to about dim * 2^-24, never less than 0.
HWY_INLINE void FourDirections(const float* point, float length,
                               const float* rows, int64_t width,
                               float* squared) {
  V dot[4], norm[4];
  for (int i = 0; i < 4; ++i) dot[i] = norm[i] = hn::Zero(kFloat);
  for (int64_t k = 0; k < width; k += kLanes) {
    const V p = hn::LoadU(kFloat, point + k);
    for (int i = 0; i < 4; ++i) {
      const V row = hn::LoadU(kFloat, rows + i * width + k);
      dot[i] = hn::MulAdd(p, row, dot[i]);
      norm[i] = hn::MulAdd(row, row, norm[i]);
    }
  }
  float dots[4], norms[4];
  StoreLaneSums(dot, dots);
  StoreLaneSums(norm, norms);
  for (int i = 0; i < 4; ++i) {
    const float ones = (length != 0.0f) + (norms[i] != 0.0f);
    // Two roots: the product of the squares may leave the range of floats.
    const float both = std::sqrt(length) * std::sqrt(norms[i]);
    const float cosine = ones == 2.0f ? dots[i] / both : 0.0f;
    // In this order: what is not a number stays so.
    squared[i] = std::max(ones - 2.0f * cosine, 0.0f);
  }
}

float SquaredLength(const float* row, int64_t width) {
  V sum = hn::Zero(kFloat);
  for (int64_t k = 0; k < width; k += kLanes) {
    const V x = hn::LoadU(kFloat, row + k);
    sum = hn::MulAdd(x, x, sum);
  }
  return hn::GetLane(hn::SumOfLanes(kFloat, sum));
}

// scratch: the point and a tile of rows, each padded with zeros.
void DistanceRows(const DistanceTask& task, Range range, float* scratch) {
  const int64_t dim = task.rows.dim, width = PaddedWidth(dim);
  float* rows = scratch + width;
  std::fill(std::copy_n(task.point.data(), dim, scratch), scratch + width,
            0.0f);
  const float length = task.directions ? SquaredLength(scratch, width) : 0.0f;
  for (int64_t first = 0; first < range.count; first += kRowTile) {
    const int64_t count = std::min(kRowTile, range.count - first);
    ExpandRows(task.rows, range.first + first, count, width, rows);
    for (int64_t i = 0; i < count; i += 4) {
      float squared[4];
      if (task.directions) {
        FourDirections(scratch, length, rows + i * width, width, squared);
      } else {
        FourDistances(scratch, rows + i * width, width, squared);
      }
      std::copy_n(squared, std::min<int64_t>(4, count - i),
                  &task.squared[range.first + first + i]);
    }
  }
}

}  // namespace subgen::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace subgen::cpu {

HWY_EXPORT(DistanceRows);

void Distances(Context& context, Vector<const DistanceTask> tasks) {
  constexpr int64_t kPieceRows = 4 * kRowTile;
  std::vector<Piece> pieces;
  int64_t multiply_adds = 0;
  for (size_t t = 0; t < tasks.size(); ++t) {
    const Rows& rows = tasks[t].rows;
    SUBGEN_CHECK(static_cast<int64_t>(tasks[t].squared.size()) == rows.count);
    SUBGEN_CHECK(rows.count == 0 ||
                 static_cast<int64_t>(tasks[t].point.size()) == rows.dim);
    multiply_adds += rows.count * rows.dim;
    for (int64_t row = 0; row < rows.count; row += kPieceRows) {
      pieces.push_back({static_cast<int64_t>(t),
                        {0, 1},
                        {row, std::min(kPieceRows, rows.count - row)}});
    }
  }
  context.Run(pieces.size(), multiply_adds, [&](int64_t i, int worker) {
    const DistanceTask& task = tasks[pieces[i].task];
    const int64_t floats = (1 + kRowTile) * PaddedWidth(task.rows.dim);
    HWY_DYNAMIC_DISPATCH(DistanceRows)
    (task, pieces[i].rows, context.worker_scratch[worker].Get(floats));
  });
}

}  // namespace subgen::cpu
#endif
