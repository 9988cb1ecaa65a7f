#include "kernels/cpu/cache/bf16_distances.h"

#include <hwy/base.h>

#if HWY_ARCH_X86_64

#include <immintrin.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "kernels/cpu/tiles/instruction_sets.h"

// gcc 12 gives false alarms in its own header (its bug 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"

#define SUBGEN_BF16_TARGET \
  "avx2,fma,avx512f,avx512vl,avx512bw,avx512dq,avx512bf16"

HWY_PUSH_ATTRIBUTES(SUBGEN_BF16_TARGET)
namespace subgen::cpu {
namespace {

inline constexpr int64_t kRows = 16;  // one row per lane

// Transposes rows: pair p of numbers of 16 rows goes to out + 16 p. One
// instruction then takes the same pair of all rows, so the sums need no
// exchange between lanes. At the end of a range the last row stands in for
// those that are not there; Store leaves out their results.
void Transpose(const Rows& rows, int64_t first, int64_t count, float* out) {
  std::array<const std::byte*, kRows> row;
  for (int64_t r = 0; r < kRows; ++r) {
    row[r] = rows.row(first + std::min(r, count - 1));
  }
  const auto load = [&](int64_t r, int64_t at) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(row[r] + at));
  };
  for (int64_t at = 0; at < 2 * rows.dim; at += 16, out += 4 * kRows) {
    __m512i v[4];  // lane b of v[j]: four pairs of row 4 b + j
    for (int64_t j = 0; j < 4; ++j) {
      v[j] = _mm512_castsi128_si512(load(j, at));
      v[j] = _mm512_inserti32x4(v[j], load(4 + j, at), 1);
      v[j] = _mm512_inserti32x4(v[j], load(8 + j, at), 2);
      v[j] = _mm512_inserti32x4(v[j], load(12 + j, at), 3);
    }
    const __m512i a = _mm512_unpacklo_epi32(v[0], v[1]);
    const __m512i b = _mm512_unpacklo_epi32(v[2], v[3]);
    const __m512i c = _mm512_unpackhi_epi32(v[0], v[1]);
    const __m512i d = _mm512_unpackhi_epi32(v[2], v[3]);
    _mm512_storeu_si512(out, _mm512_unpacklo_epi64(a, b));
    _mm512_storeu_si512(out + kRows, _mm512_unpackhi_epi64(a, b));
    _mm512_storeu_si512(out + 2 * kRows, _mm512_unpacklo_epi64(c, d));
    _mm512_storeu_si512(out + 3 * kRows, _mm512_unpackhi_epi64(c, d));
  }
}

inline __m512bh LoadPairs(const float* transposed) {
  return reinterpret_cast<__m512bh>(_mm512_loadu_si512(transposed));
}

inline __m512bh SpreadPair(const std::byte* pair) {
  int32_t bits;
  std::memcpy(&bits, pair, sizeof(bits));
  return reinterpret_cast<__m512bh>(_mm512_set1_epi32(bits));
}

// Holds dot products of 16 transposed rows, one row per lane, with kPoints
// points, or of each row with itself (kPoints = 1, `points` null).
template <int kPoints>
struct PointDots {
  PointDots& operator+=(const PointDots& other) {
    for (int p = 0; p < kPoints; ++p) {
      at[p] = _mm512_add_ps(at[p], other.at[p]);
    }
    return *this;
  }
  __m512 at[kPoints];
};

struct TurnedDots {
  const float* transposed = nullptr;
  int64_t dim = 0;
  const std::byte* points = nullptr;

  // Adds pairs `lane`, lane + 16 and so on, as a lane of Strips::Dot does.
  template <int kPoints>
  inline PointDots<kPoints> Lane(int64_t lane) const {
    PointDots<kPoints> sum;
    for (__m512& dot : sum.at) dot = _mm512_setzero_ps();
    for (int64_t pair = lane; pair < dim / 2; pair += kRows) {
      const __m512bh numbers = LoadPairs(transposed + pair * kRows);
      for (int p = 0; p < kPoints; ++p) {
        sum.at[p] = _mm512_dpbf16_ps(
            sum.at[p], numbers,
            points == nullptr ? numbers
                              : SpreadPair(points + p * 2 * dim + 4 * pair));
      }
    }
    return sum;
  }
  template <int kPoints>
  inline PointDots<kPoints> FourLanes(int64_t first) const {
    PointDots<kPoints> even = Lane<kPoints>(first);
    even += Lane<kPoints>(first + 2);
    PointDots<kPoints> odd = Lane<kPoints>(first + 1);
    odd += Lane<kPoints>(first + 3);
    return even += odd;
  }
  // Adds in the order of LaneSums, so that a distance has the same bits however
  // many points there are. The choice between the two ways below must not
  // change which centers are kept.
  template <int kPoints>
  inline PointDots<kPoints> Sum() const {
    PointDots<kPoints> even = FourLanes<kPoints>(0);
    even += FourLanes<kPoints>(8);
    PointDots<kPoints> odd = FourLanes<kPoints>(4);
    odd += FourLanes<kPoints>(12);
    return even += odd;
  }
};

inline __m512 SquaredLengths(const float* transposed, int64_t dim) {
  return TurnedDots{transposed, dim, nullptr}.Sum<1>().at[0];
}

// Holds 1 / length, from its square, and 1. Both are 0 for a row that is zero.
struct Inverse {
  explicit Inverse(__m512 squares) {
    const __m512 one = _mm512_set1_ps(1.0f);
    const __mmask16 there =
        _mm512_cmp_ps_mask(squares, _mm512_setzero_ps(), _CMP_NEQ_UQ);
    lengths = _mm512_maskz_div_ps(there, one, _mm512_sqrt_ps(squares));
    ones = _mm512_maskz_mov_ps(there, one);
  }
  __m512 lengths, ones;
};

// Holds the squared lengths of 16 rows, and what follows from them.
struct RowSums {
  explicit RowSums(__m512 squares) : squares(squares), inverse(squares) {}

  __m512 squares;
  Inverse inverse;
};

// Holds the same of a point, in all lanes.
struct PointSums {
  __m512 squares, inverse, one;
};

// Computes squared distances from dot products. Rounding could leave them below
// 0, which the choice of centers does not expect, so they are cut there. The
// order of max's operands keeps a NaN as it is.
inline __m512 Squared(bool directions, const PointSums& point,
                      const RowSums& rows, __m512 dot) {
  const __m512 two = _mm512_set1_ps(2.0f);
  __m512 squared;
  if (directions) {
    const __m512 cosine =
        _mm512_mul_ps(_mm512_mul_ps(dot, point.inverse), rows.inverse.lengths);
    squared = _mm512_fnmadd_ps(two, cosine,
                               _mm512_add_ps(point.one, rows.inverse.ones));
  } else {
    squared =
        _mm512_fnmadd_ps(two, dot, _mm512_add_ps(point.squares, rows.squares));
  }
  return _mm512_max_ps(_mm512_setzero_ps(), squared);
}

inline void Store(__m512 squared, const Range& columns, int64_t point,
                  const RowDistances& task) {
  const __mmask16 there = (1u << columns.count) - 1;
  _mm512_mask_storeu_ps(task.squared.row(point).data() + columns.first, there,
                        squared);
}

// Holds the sums of all points, [points] each.
struct Sums {
  const float *squares, *inverse, *ones;

  PointSums of(int64_t point) const {
    return {_mm512_set1_ps(squares[point]), _mm512_set1_ps(inverse[point]),
            _mm512_set1_ps(ones[point])};
  }
};

// These are 16 rows that were transposed: `columns` of the distances.
struct TurnedRows {
  const float* transposed;
  RowSums sums;
  Range columns;
};

// Computes the distances of kPoints points from `first` on.
template <int kPoints>
void SomePoints(const RowDistances& task, const Sums& sums, int64_t first,
                const TurnedRows& rows) {
  const PointDots<kPoints> dots =
      TurnedDots{rows.transposed, task.rows.dim, task.points.row(first)}
          .Sum<kPoints>();
  for (int p = 0; p < kPoints; ++p) {
    Store(Squared(task.directions, sums.of(first + p), rows.sums, dots.at[p]),
          rows.columns, first + p, task);
  }
}

void ManyPoints(const RowDistances& task, Range range, float* scratch) {
  const int64_t count = task.points.count;
  const int64_t padded = (count + kRows - 1) / kRows * kRows;
  float* const transposed = scratch + 3 * padded;
  for (int64_t first = 0; first < count; first += kRows) {
    Transpose(task.points, first, std::min(kRows, count - first), transposed);
    const RowSums points(SquaredLengths(transposed, task.points.dim));
    _mm512_storeu_ps(scratch + first, points.squares);
    _mm512_storeu_ps(scratch + padded + first, points.inverse.lengths);
    _mm512_storeu_ps(scratch + 2 * padded + first, points.inverse.ones);
  }
  const Sums sums = {scratch, scratch + padded, scratch + 2 * padded};
  const int64_t end = range.first + range.count;
  for (int64_t first = range.first; first < end; first += kRows) {
    const Range columns = {first, std::min(kRows, end - first)};
    Transpose(task.rows, columns.first, columns.count, transposed);
    const TurnedRows rows = {transposed,
                             RowSums(SquaredLengths(transposed, task.rows.dim)),
                             columns};
    int64_t p = 0;
    // Four points share each load of the rows.
    for (; p + 4 <= count; p += 4) SomePoints<4>(task, sums, p, rows);
    for (; p < count; ++p) SomePoints<1>(task, sums, p, rows);
  }
}

// Returns, for 128-bit parts: x0 + x2, x1 + x3, y0 + y2, y1 + y3.
inline __m512 AddHalves(__m512 x, __m512 y) {
  return _mm512_add_ps(_mm512_shuffle_f32x4(x, y, 0x44),
                       _mm512_shuffle_f32x4(x, y, 0xee));
}

// Returns the sum of each vector, in the lane of its number. Sixteen vectors
// are added in one tree, because each on its own would take a chain of
// exchanges.
inline __m512 LaneSums(const __m512 (&v)[kRows]) {
  __m512d pairs[8];  // in each 128 bits: sums of v[2 i] and v[2 i + 1], twice
  for (int i = 0; i < 8; ++i) {
    pairs[i] = _mm512_castps_pd(
        _mm512_add_ps(_mm512_unpacklo_ps(v[2 * i], v[2 * i + 1]),
                      _mm512_unpackhi_ps(v[2 * i], v[2 * i + 1])));
  }
  __m512 fours[4];  // in each 128 bits: those of four vectors
  for (int i = 0; i < 4; ++i) {
    fours[i] = _mm512_add_ps(
        _mm512_castpd_ps(_mm512_unpacklo_pd(pairs[2 * i], pairs[2 * i + 1])),
        _mm512_castpd_ps(_mm512_unpackhi_pd(pairs[2 * i], pairs[2 * i + 1])));
  }
  const __m512 low = AddHalves(fours[0], fours[1]);
  const __m512 high = AddHalves(fours[2], fours[3]);
  return _mm512_add_ps(_mm512_shuffle_f32x4(low, high, 0x88),
                       _mm512_shuffle_f32x4(low, high, 0xdd));
}

// Multiplies rows where they lie, one vector after another.
struct Strips {
  // kStrips is dim / 32, or 0 if that is known only at run time.
  template <int kStrips>
  static inline __m512 Dot(const std::byte* x, const std::byte* y,
                           int64_t strips) {
    __m512 sum = _mm512_setzero_ps();
    for (int64_t k = 0; k < (kStrips > 0 ? kStrips : strips); ++k) {
      sum = _mm512_dpbf16_ps(sum, Load(x + 64 * k), Load(y + 64 * k));
    }
    return sum;
  }
  static inline __m512bh Load(const std::byte* from) {
    return reinterpret_cast<__m512bh>(_mm512_loadu_si512(from));
  }
};

template <int kStrips>
void OnePoint(const RowDistances& task, int64_t p, Range range) {
  const int64_t strips = task.rows.dim / 32, row_bytes = 2 * task.rows.dim;
  const std::byte* const point = task.points.row(p);
  __m512 dots[kRows], squares[kRows];
  for (__m512& sum : squares) sum = Strips::Dot<kStrips>(point, point, strips);
  const RowSums own(LaneSums(squares));
  const PointSums sums = {own.squares, own.inverse.lengths, own.inverse.ones};
  const int64_t end = range.first + range.count;
  const std::byte* row = task.rows.row(range.first);
  for (int64_t first = range.first; first < end; first += kRows) {
    const Range columns = {first, std::min(kRows, end - first)};
    for (int64_t r = 0; r < kRows; ++r) {
      const std::byte* const at =
          row + row_bytes * std::min(r, columns.count - 1);
      dots[r] = Strips::Dot<kStrips>(point, at, strips);
      // Lengths come from the same instructions in the same order as the
      // products, so that rows that are alike are at distance 0. The row is in
      // registers anyway.
      squares[r] = Strips::Dot<kStrips>(at, at, strips);
    }
    Store(Squared(task.directions, sums, RowSums(LaneSums(squares)),
                  LaneSums(dots)),
          columns, p, task);
    row += row_bytes * kRows;
  }
}

}  // namespace

void BF16DistanceRows(const RowDistances& task, Range range, float* scratch) {
  // Transposing 16 rows costs as much as their sums for about eight points, so
  // fewer points take the rows as they lie.
  constexpr int64_t kManyPoints = 8;
  if (task.points.count >= kManyPoints) return ManyPoints(task, range, scratch);
  for (int64_t p = 0; p < task.points.count; ++p) {
    switch (task.rows.dim) {
      case 64:
        OnePoint<2>(task, p, range);
        break;
      case 128:
        OnePoint<4>(task, p, range);
        break;
      default:
        OnePoint<0>(task, p, range);
    }
  }
}

}  // namespace subgen::cpu
HWY_POP_ATTRIBUTES

namespace subgen::cpu {

// This stands outside the section compiled for the instructions, because it
// must run on machines without them.
bool HasBF16Distances(RowFormat format, int64_t dim) {
  static const bool has_instructions = __builtin_cpu_supports("avx512bf16") &&
                                       __builtin_cpu_supports("avx512dq");
  return has_instructions && InstructionSetInUse().tiles == &kAvx512Vnni &&
         format == RowFormat::kBF16 && dim % 32 == 0;
}

int64_t BF16DistanceScratch(const RowDistances& task) {
  return 3 * PaddedWidth(task.points.count) + task.rows.dim / 2 * 16;
}

}  // namespace subgen::cpu

#else

namespace subgen::cpu {

bool HasBF16Distances(RowFormat, int64_t) { return false; }
void BF16DistanceRows(const RowDistances&, Range, float*) {
  Fatal("no dot products of bf16");
}
int64_t BF16DistanceScratch(const RowDistances&) { return 0; }

}  // namespace subgen::cpu

#endif
