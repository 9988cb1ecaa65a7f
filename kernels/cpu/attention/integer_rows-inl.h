// Rounds rows to 16 bits and multiplies them in register blocks: there are two
// multiply-adds where float32 has one. The file is compiled once per target.
#if defined(SUBGEN_KERNELS_CPU_INTEGER_ROWS_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef SUBGEN_KERNELS_CPU_INTEGER_ROWS_INL_H_
#undef SUBGEN_KERNELS_CPU_INTEGER_ROWS_INL_H_
#else
#define SUBGEN_KERNELS_CPU_INTEGER_ROWS_INL_H_
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/cpu/simd/exp-inl.h"
#include "kernels/cpu/simd/product-inl.h"
#include "kernels/cpu/tiles/instruction_sets.h"

HWY_BEFORE_NAMESPACE();
namespace subgen::cpu::HWY_NAMESPACE {

using IntegerTag = hn::RebindToSigned<D>;
using Integers = hn::Vec<IntegerTag>;
constexpr IntegerTag kInteger;

// Two numbers of a row, 16 bits each, are one lane, and both products are added
// to its sum. This is worth it where that takes one instruction or two.
constexpr bool kHasPairs = HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2;

struct MultiplyThenAdd {
  static HWY_INLINE Integers Add(Integers a, Integers b, Integers sum) {
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2
    const hn::Repartition<int16_t, IntegerTag> halves;
    Integers unused = hn::Zero(kInteger);
    sum = hn::ReorderWidenMulAccumulate(kInteger, hn::BitCast(halves, a),
                                        hn::BitCast(halves, b), sum, unused);
    // Without this, gcc 12 moves every sum from one register to another and
    // back.
    asm("" : "+v"(sum.raw));
    return sum;
#else
    const auto low = [](Integers pair) HWY_ATTR {
      return hn::ShiftRight<16>(hn::ShiftLeft<16>(pair));
    };
    const Integers high = hn::Mul(hn::ShiftRight<16>(a), hn::ShiftRight<16>(b));
    return hn::Add(sum, hn::Add(hn::Mul(low(a), low(b)), high));
#endif
  }
};

#if HWY_TARGET == HWY_AVX3

// This is one instruction of AVX-512 VNNI, for which Highway has no target
// here.
struct PairDot {
  static HWY_INLINE Integers Add(Integers a, Integers b, Integers sum) {
    asm("vpdpwssd %2, %1, %0" : "+v"(sum.raw) : "v"(a.raw), "v"(b.raw));
    return sum;
  }
};

HWY_INLINE bool HasPairDot() {
  return InstructionSetInUse().tiles == &kAvx512Vnni;
}

#else

using PairDot = MultiplyThenAdd;
HWY_INLINE bool HasPairDot() { return false; }

#endif

// A row of length at most this has dot products with such rows below 2^30 (by
// Cauchy and Schwarz), however many numbers it has.
constexpr float kRowLength = 32000.0f;

// This is the scale of a row of that length. It is NaN where the row is not
// finite, and 0 where the row is as good as 0.
struct RowScale {
  float scale = 0.0f;
  float inverse = 0.0f;
};

HWY_INLINE RowScale ScaleOfRow(const float* row, int64_t width) {
  V sum = hn::Zero(kFloat);
  for (int64_t c = 0; c < width; c += kLanes) {
    const V x = hn::LoadU(kFloat, row + c);
    sum = hn::MulAdd(x, x, sum);
  }
  const float length = std::sqrt(hn::GetLane(hn::SumOfLanes(kFloat, sum)));
  if (!std::isfinite(length)) {
    return {std::numeric_limits<float>::quiet_NaN(), 0.0f};
  }
  constexpr float kTiny = 1e-18f;  // its square is a normal number
  if (length < kTiny) return {};
  return {length / kRowLength, kRowLength / length};
}

// Returns x * factor in the lowest 16 bits, for products within 16 bits.
HWY_INLINE Integers Rounded(V x, V factor) {
  return hn::BitCast(kInteger,
                     hn::MulAdd(x, factor, hn::Set(kFloat, kRounder)));
}

// Puts the lowest 16 bits of both into one lane.
HWY_INLINE Integers Pair(Integers low, Integers high) {
  return hn::Or(hn::And(low, hn::Set(kInteger, 0xffff)),
                hn::ShiftLeft<16>(high));
}

// Rounds a row of `width` numbers, a multiple of 32, each of which is off by at
// most scale / 2. Numbers p and width / 2 + p are pair p. Returns the scale.
HWY_INLINE float RoundRow(const float* row, int64_t width, int32_t* pairs) {
  const RowScale scale = ScaleOfRow(row, width);
  const V inverse = hn::Set(kFloat, scale.inverse);
  for (int64_t p = 0; p < width / 2; p += kLanes) {
    const V low = hn::LoadU(kFloat, row + p);
    const V high = hn::LoadU(kFloat, row + width / 2 + p);
    hn::StoreU(Pair(Rounded(low, inverse), Rounded(high, inverse)), kInteger,
               pairs + p);
  }
  return scale.scale;
}

// Rounds the columns of `count` rows, an even number, to a largest magnitude of
// kColumn. Rows p and count / 2 + p are pairs[p][width]; scales[width].
constexpr float kColumn = 8191.0f;

HWY_INLINE void RoundColumns(const Operand& rows, int64_t count, int64_t width,
                             int32_t* pairs, float* scales) {
  for (int64_t c = 0; c < width; c += kLanes) {
    V most = hn::Zero(kFloat);
    for (int64_t i = 0; i < count; ++i) {
      most = hn::Max(most, hn::Abs(hn::LoadU(kFloat, rows.row(i) + c)));
    }
    const V tiny = hn::Set(kFloat, 1e-30f);
    const V inverse = hn::IfThenElseZero(
        hn::Gt(most, tiny), hn::Div(hn::Set(kFloat, kColumn), most));
    hn::StoreU(hn::Mul(most, hn::Set(kFloat, 1.0f / kColumn)), kFloat,
               scales + c);
    for (int64_t p = 0; p < count / 2; ++p) {
      const V low = hn::LoadU(kFloat, rows.row(p) + c);
      const V high = hn::LoadU(kFloat, rows.row(count / 2 + p) + c);
      hn::StoreU(Pair(Rounded(low, inverse), Rounded(high, inverse)), kInteger,
                 pairs + p * width + c);
    }
  }
}

// Computes out[i][c] = sum over p of the pair a[i][p] times the pair b[p][c].
struct PairProduct {
  const int32_t* a = nullptr;  // rows `a_stride` pairs apart
  int64_t a_stride = 0;
  const int32_t* b = nullptr;  // rows `b_stride` pairs apart
  int64_t b_stride = 0;
  int64_t pairs = 0;
};

// There are as many sums as there are registers for.
constexpr int kPairRows = 4;
constexpr int kPairVectors = HWY_TARGET == HWY_AVX3 ? 4 : 2;

// Computes rows i to i + kA and columns from c on; see MultiplyPairs.
template <class Dot, int kA, int kVectors, class Each>
HWY_INLINE void PairTile(const PairProduct& product, int64_t i, int64_t c,
                         const Each& each) {
  const int64_t pairs = product.pairs, stride = product.b_stride;
  const int32_t* b = product.b + c;
  const int32_t* a[kA];
  for (int x = 0; x < kA; ++x) a[x] = product.a + (i + x) * product.a_stride;
  Integers sums[kA][kVectors];
  for (int x = 0; x < kA; ++x) {
    for (int y = 0; y < kVectors; ++y) sums[x][y] = hn::Zero(kInteger);
  }
  for (int64_t p = 0; p < pairs; ++p, b += stride) {
    Integers b_p[kVectors];
    for (int y = 0; y < kVectors; ++y) {
      b_p[y] = hn::LoadU(kInteger, b + y * kLanes);
    }
    for (int x = 0; x < kA; ++x) {
      const Integers a_p = hn::Set(kInteger, a[x][p]);
      for (int y = 0; y < kVectors; ++y) {
        sums[x][y] = Dot::Add(a_p, b_p[y], sums[x][y]);
      }
    }
  }
  for (int x = 0; x < kA; ++x) {
    for (int y = 0; y < kVectors; ++y) {
      each(i + x, c + y * kLanes, sums[x][y]);
    }
  }
}

template <class Dot, int kA, class Each>
HWY_INLINE void PairRows(const PairProduct& product, int64_t i, int64_t columns,
                         const Each& each) {
  constexpr int64_t kStep = kPairVectors * kLanes;
  int64_t c = 0;
  for (; c + kStep <= columns; c += kStep) {
    PairTile<Dot, kA, kPairVectors>(product, i, c, each);
  }
  for (; c < columns; c += kLanes) PairTile<Dot, kA, 1>(product, i, c, each);
}

// Calls each(i, c, sums of row i from column c on, a vector) for `rows` rows
// and `columns` columns, a multiple of kLanes. Dot is one of the two above.
template <class Dot, class Each>
HWY_INLINE void MultiplyPairs(const PairProduct& product, int64_t rows,
                              int64_t columns, const Each& each) {
  int64_t i = 0;
  for (; i + kPairRows <= rows; i += kPairRows) {
    PairRows<Dot, kPairRows>(product, i, columns, each);
  }
  for (; i < rows; ++i) PairRows<Dot, 1>(product, i, columns, each);
}

}  // namespace subgen::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
