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

#include "kernels/cpu/few_queries-inl.h"
#include "kernels/cpu/product-inl.h"

HWY_BEFORE_NAMESPACE();
namespace subgen::cpu::HWY_NAMESPACE {

// Sums over four rows, from which their squared distances follow.
struct FourSums {
  V products[4];  // of directions; else of differences with themselves
  V norms[4];     // of directions

  HWY_INLINE FourSums() {
    for (int i = 0; i < 4; ++i) products[i] = norms[i] = hn::Zero(kFloat);
  }
  template <bool kDirections>
  HWY_INLINE void Add(int i, V point, V row) {
    if constexpr (kDirections) {
      products[i] = hn::MulAdd(point, row, products[i]);
      norms[i] = hn::MulAdd(row, row, norms[i]);
    } else {
      const V difference = hn::Sub(point, row);
      products[i] = hn::MulAdd(difference, difference, products[i]);
    }
  }
  // `length`: squared, of the point. Where two directions are one, rounding
  // leaves up to about dim * 2^-24, never less than 0.
  template <bool kDirections>
  HWY_INLINE void Store(float length, float* squared) const {
    StoreLaneSums(products, squared);
    if constexpr (!kDirections) return;
    float lengths[4];
    StoreLaneSums(norms, lengths);
    for (int i = 0; i < 4; ++i) {
      const float ones = (length != 0.0f) + (lengths[i] != 0.0f);
      // Two roots: the product of the squares may leave the range of floats.
      const float both = std::sqrt(length) * std::sqrt(lengths[i]);
      const float cosine = ones == 2.0f ? squared[i] / both : 0.0f;
      // In this order: what is not a number stays so.
      squared[i] = std::max(ones - 2.0f * cosine, 0.0f);
    }
  }
};

float SquaredLength(const float* row, int64_t width) {
  V sum = hn::Zero(kFloat);
  for (int64_t k = 0; k < width; k += kLanes) {
    const V x = hn::LoadU(kFloat, row + k);
    sum = hn::MulAdd(x, x, sum);
  }
  return hn::GetLane(hn::SumOfLanes(kFloat, sum));
}

struct Point {
  const float* numbers = nullptr;  // padded with zeros
  float length = 0.0f;             // squared
};

// Of rows as they are stored.
template <class Strip, bool kDirections>
void StoredDistances(const DistanceTask& task, Range range,
                     const Point& point) {
  const int64_t end = range.first + range.count;
  const int64_t row_bytes = RowBytes(task.rows.format, task.rows.dim);
  for (int64_t first = range.first; first < end; first += 4) {
    const int64_t count = std::min<int64_t>(4, end - first);
    const std::byte* rows[4];
    for (int i = 0; i < 4; ++i) {
      rows[i] = task.rows.data +
                (first + std::min<int64_t>(i, count - 1)) * row_bytes;
    }
    PrefetchBehind(rows[0], 4 * row_bytes);
    FourSums sums;
    for (int64_t k = 0; k < task.rows.dim; k += kStrip) {
      for (int i = 0; i < 4; ++i) {
        V numbers[kStripVectors];
        Strip::Load(rows[i], k, numbers);
        for (int64_t x = 0; x < kStripVectors; ++x) {
          sums.Add<kDirections>(
              i, hn::LoadU(kFloat, point.numbers + k + x * kLanes), numbers[x]);
        }
      }
    }
    float squared[4];
    sums.Store<kDirections>(point.length, squared);
    std::copy_n(squared, count, &task.squared[first]);
  }
}

// Of rows of any format: expanded into `rows` first, a tile at a time.
template <bool kDirections>
void ExpandedDistances(const DistanceTask& task, Range range,
                       const Point& point, float* rows) {
  const int64_t width = PaddedWidth(task.rows.dim);
  for (int64_t first = 0; first < range.count; first += kRowTile) {
    const int64_t count = std::min(kRowTile, range.count - first);
    ExpandRows(task.rows, range.first + first, count, width, rows);
    for (int64_t row = 0; row < count; row += 4) {
      FourSums sums;
      for (int64_t k = 0; k < width; k += kLanes) {
        const V numbers = hn::LoadU(kFloat, point.numbers + k);
        for (int i = 0; i < 4; ++i) {
          sums.Add<kDirections>(
              i, numbers, hn::LoadU(kFloat, rows + (row + i) * width + k));
        }
      }
      float squared[4];
      sums.Store<kDirections>(point.length, squared);
      std::copy_n(squared, std::min<int64_t>(4, count - row),
                  &task.squared[range.first + first + row]);
    }
  }
}

template <bool kDirections>
void DistancesOf(const DistanceTask& task, Range range, const Point& point,
                 float* rows) {
  const bool strips = HWY_TARGET != HWY_SCALAR && task.rows.dim % kStrip == 0;
  if (strips && task.rows.format == RowFormat::kBF16) {
    StoredDistances<StripBF16, kDirections>(task, range, point);
  } else if (strips && task.rows.format == RowFormat::kF16) {
    StoredDistances<StripF16, kDirections>(task, range, point);
  } else if (strips && task.rows.format == RowFormat::kQ8) {
    StoredDistances<StripQ8, kDirections>(task, range, point);
  } else {
    ExpandedDistances<kDirections>(task, range, point, rows);
  }
}

// scratch: the point and a tile of rows, each padded with zeros.
void DistanceRows(const DistanceTask& task, Range range, float* scratch) {
  const int64_t dim = task.rows.dim, width = PaddedWidth(dim);
  std::fill(std::copy_n(task.point.data(), dim, scratch), scratch + width,
            0.0f);
  Point point = {scratch, 0.0f};
  if (task.directions) {
    point.length = SquaredLength(scratch, width);
    DistancesOf<true>(task, range, point, scratch + width);
  } else {
    DistancesOf<false>(task, range, point, scratch + width);
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
