// Computes squared distances from points to rows of any format. The file is
// compiled once per target.
#if defined(SUBGEN_KERNELS_CPU_DISTANCES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SUBGEN_KERNELS_CPU_DISTANCES_INL_H_
#undef SUBGEN_KERNELS_CPU_DISTANCES_INL_H_
#else
#define SUBGEN_KERNELS_CPU_DISTANCES_INL_H_
#endif

#include <algorithm>

#include "kernels/cpu/attention/attention_piece.h"
#include "kernels/cpu/attention/few_queries-inl.h"
#include "kernels/cpu/cache/distances.h"
#include "kernels/cpu/simd/product-inl.h"

HWY_BEFORE_NAMESPACE();
namespace subgen::cpu::HWY_NAMESPACE {

// Four rows are taken together, or one at a time where there are no vectors.
constexpr hn::CappedTag<float, 4> kFour;
using V4 = hn::Vec<decltype(kFour)>;

// Holds 1 / length of four rows, from its square, and 1. For a row that is zero
// both are 0, and so is the cosine with it.
struct Inverse {
  V4 lengths, ones;

  HWY_INLINE explicit Inverse(V4 squares) {
    const auto zero = hn::Eq(squares, hn::Zero(kFour));
    const V4 one = hn::Set(kFour, 1.0f);
    lengths = hn::IfThenZeroElse(zero, hn::Div(one, hn::Sqrt(squares)));
    ones = hn::IfThenZeroElse(zero, one);
  }
};

struct Points {
  Vector<const DistanceTask> tasks;  // one point each, all of the same rows
  const float* numbers = nullptr;    // [points, width], padded with zeros
  int64_t width = 0;
  float inverse[kMostPoints] = {};  // of lengths; of zero: zero

  HWY_INLINE V Load(int p, int64_t k) const {
    return hn::LoadU(kFloat, numbers + p * width + k);
  }
};

// These are sums over four rows, from which their squared distances follow. For
// directions they are sums of products and squares, otherwise of squared
// differences.
template <int kPoints, bool kDirections>
struct FourSums {
  V products[kPoints][4];
  V norms[4];

  HWY_INLINE FourSums() {
    for (int i = 0; i < 4; ++i) {
      norms[i] = hn::Zero(kFloat);
      for (auto& of_point : products) of_point[i] = hn::Zero(kFloat);
    }
  }
  HWY_INLINE void Add(int i, const Points& points, int64_t k, V row) {
    for (int p = 0; p < kPoints; ++p) {
      const V point = points.Load(p, k);
      const V x = kDirections ? point : hn::Sub(point, row);
      products[p][i] = hn::MulAdd(x, kDirections ? row : x, products[p][i]);
    }
    if constexpr (kDirections) norms[i] = hn::MulAdd(row, row, norms[i]);
  }
  // Stores the distances of rows [first, first + count), count <= 4.
  HWY_INLINE void Store(const Points& points, int64_t first,
                        int64_t count) const {
    float squares[4], squared[kPoints][4];
    StoreLaneSums(norms, squares);
    for (int p = 0; p < kPoints; ++p) StoreLaneSums(products[p], squared[p]);
    for (size_t i = 0; kDirections && i < 4; i += hn::MaxLanes(kFour)) {
      const Inverse rows(hn::LoadU(kFour, squares + i));
      for (int p = 0; p < kPoints; ++p) {
        hn::StoreU(OfDirections(points.inverse[p], rows,
                                hn::LoadU(kFour, squared[p] + i)),
                   kFour, squared[p] + i);
      }
    }
    for (int p = 0; p < kPoints; ++p) {
      float* out = &points.tasks[p].squared[first];
      if (count == 4) {
        std::copy_n(squared[p], 4, out);  // one store
      } else {
        for (int64_t i = 0; i < count; ++i) out[i] = squared[p][i];
      }
    }
  }
  // Computes the distance of directions from a product. Where two directions
  // are one, rounding leaves up to about dim * 2^-24, but never less than 0.
  // NaN stays NaN.
  static HWY_INLINE V4 OfDirections(float inverse, const Inverse& rows,
                                    V4 product) {
    const V4 point = hn::Set(kFour, inverse);
    const V4 one = hn::Set(kFour, inverse != 0.0f ? 1.0f : 0.0f);
    const V4 cosine = hn::Mul(hn::Mul(product, point), rows.lengths);
    const V4 squared =
        hn::NegMulAdd(hn::Set(kFour, 2.0f), cosine, hn::Add(one, rows.ones));
    return hn::IfThenElse(hn::Lt(squared, hn::Zero(kFour)), hn::Zero(kFour),
                          squared);
  }
};

HWY_INLINE float InverseLength(const float* row, int64_t width) {
  V sum = hn::Zero(kFloat);
  for (int64_t k = 0; k < width; k += kLanes) {
    const V x = hn::LoadU(kFloat, row + k);
    sum = hn::MulAdd(x, x, sum);
  }
  const float squares = hn::GetLane(hn::SumOfLanes(kFloat, sum));
  return hn::GetLane(Inverse(hn::Set(kFour, squares)).lengths);
}

// Measures rows as they are stored.
template <class Strip>
struct StoredRows {
  template <int kPoints, bool kDirections>
  static void Run(const Points& points, Range range, float*) {
    const Rows& all = points.tasks[0].rows;
    const int64_t end = range.first + range.count;
    const int64_t row_bytes = RowBytes(all.format, all.dim);
    for (int64_t first = range.first; first < end; first += 4) {
      const int64_t count = std::min<int64_t>(4, end - first);
      const std::byte* rows[4];
      for (int i = 0; i < 4; ++i) {
        rows[i] =
            all.data + (first + std::min<int64_t>(i, count - 1)) * row_bytes;
      }
      PrefetchBehind(rows[0], 4 * row_bytes);
      FourSums<kPoints, kDirections> sums;
      for (int64_t k = 0; k < all.dim; k += kStrip) {
        for (int i = 0; i < 4; ++i) {
          V numbers[kStripVectors];
          Strip::Load(rows[i], k, numbers);
          for (int64_t x = 0; x < kStripVectors; ++x) {
            sums.Add(i, points, k + x * kLanes, numbers[x]);
          }
        }
      }
      sums.Store(points, first, count);
    }
  }
};

// Measures rows of any format, which are first expanded into `memory`, a tile
// at a time.
struct ExpandedRows {
  template <int kPoints, bool kDirections>
  static void Run(const Points& points, Range range, float* memory) {
    const int64_t width = points.width;
    for (int64_t first = 0; first < range.count; first += kRowTile) {
      const int64_t count = std::min(kRowTile, range.count - first);
      ExpandRows(points.tasks[0].rows, range.first + first, count, width,
                 memory);
      for (int64_t row = 0; row < count; row += 4) {
        FourSums<kPoints, kDirections> sums;
        for (int64_t k = 0; k < width; k += kLanes) {
          for (int i = 0; i < 4; ++i) {
            sums.Add(i, points, k,
                     hn::LoadU(kFloat, memory + (row + i) * width + k));
          }
        }
        sums.Store(points, range.first + first + row,
                   std::min<int64_t>(4, count - row));
      }
    }
  }
};

template <class Kernel>
void RunKernel(const Points& points, Range range, float* memory) {
  const bool directions = points.tasks[0].directions;
  if (points.tasks.size() == kMostPoints) {
    return directions
               ? Kernel::template Run<kMostPoints, true>(points, range, memory)
               : Kernel::template Run<kMostPoints, false>(points, range,
                                                          memory);
  }
  for (size_t p = 0; p < points.tasks.size(); ++p) {
    Points one = points;
    one.tasks = points.tasks.subspan(p, 1);
    one.numbers += p * points.width;
    one.inverse[0] = points.inverse[p];
    directions ? Kernel::template Run<1, true>(one, range, memory)
               : Kernel::template Run<1, false>(one, range, memory);
  }
}

// Computes tasks of the same rows and kind, at most kMostPoints. scratch: their
// points and a tile of rows, each padded with zeros: DistanceScratch(dim)
// floats.
inline void DistanceRows(Vector<const DistanceTask> tasks, Range range,
                         float* scratch) {
  const Rows& rows = tasks[0].rows;
  const int64_t width = PaddedWidth(rows.dim);
  Points points;
  points.tasks = tasks;
  points.numbers = scratch;
  points.width = width;
  for (size_t p = 0; p < tasks.size(); ++p, scratch += width) {
    std::fill(std::copy_n(tasks[p].point.data(), rows.dim, scratch),
              scratch + width, 0.0f);
    points.inverse[p] = InverseLength(scratch, width);
  }
  const bool strips = HWY_TARGET != HWY_SCALAR && rows.dim % kStrip == 0;
  if (strips && rows.format == RowFormat::kBF16) {
    RunKernel<StoredRows<StripBF16>>(points, range, scratch);
  } else if (strips && rows.format == RowFormat::kF16) {
    RunKernel<StoredRows<StripF16>>(points, range, scratch);
  } else if (strips && rows.format == RowFormat::kQ8) {
    RunKernel<StoredRows<StripQ8>>(points, range, scratch);
  } else {
    RunKernel<ExpandedRows>(points, range, scratch);
  }
}

}  // namespace subgen::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
