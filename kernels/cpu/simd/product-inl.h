// Multiplies matrices of float32 in register blocks. The file is compiled once
// per target.
#if defined(SUBGEN_KERNELS_CPU_PRODUCT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SUBGEN_KERNELS_CPU_PRODUCT_INL_H_
#undef SUBGEN_KERNELS_CPU_PRODUCT_INL_H_
#else
#define SUBGEN_KERNELS_CPU_PRODUCT_INL_H_
#endif

#include <hwy/highway.h>

#include <algorithm>

#include "kernels/cpu/simd/expand-inl.h"

HWY_BEFORE_NAMESPACE();
namespace subgen::cpu::HWY_NAMESPACE {

// The rows of one factor are `stride` floats apart.
struct Operand {
  const float* data = nullptr;
  int64_t stride = 0;
  HWY_INLINE const float* row(int64_t i) const { return data + i * stride; }
};

struct Result {
  float* data = nullptr;
  int64_t stride = 0;
  HWY_INLINE float* row(int64_t i) const { return data + i * stride; }
};

#if HWY_TARGET == HWY_SCALAR

// Sets sums[i] to the sum of the lanes of v[i], i < 4.
HWY_INLINE void StoreLaneSums(const V* v, float* sums) {
  for (int i = 0; i < 4; ++i) sums[i] = hn::GetLane(v[i]);
}

#else

// Adds the 128-bit blocks of a vector that holds one sum per lane of a block.
template <class DV>
HWY_INLINE void StoreBlockSums(DV d, hn::Vec<DV> v, float* sums) {
  if constexpr (hn::MaxLanes(DV()) <= 4) {
    hn::StoreU(v, d, sums);
  } else {
    const hn::Half<DV> half;
    StoreBlockSums(
        half, hn::Add(hn::LowerHalf(half, v), hn::UpperHalf(half, v)), sums);
  }
}

HWY_INLINE void StoreLaneSums(const V* v, float* sums) {
  const hn::Repartition<uint64_t, D> pair;
  const auto both = [&](V x, V y) HWY_ATTR {  // x02 y02 x13 y13 of each block
    return hn::BitCast(pair, hn::Add(hn::InterleaveLower(kFloat, x, y),
                                     hn::InterleaveUpper(kFloat, x, y)));
  };
  const auto v01 = both(v[0], v[1]), v23 = both(v[2], v[3]);
  StoreBlockSums(
      kFloat,
      hn::Add(hn::BitCast(kFloat, hn::InterleaveLower(pair, v01, v23)),
              hn::BitCast(kFloat, hn::InterleaveUpper(pair, v01, v23))),
      sums);
}

#endif

// Computes out[i][j] += sum over k of a[i][k] b[j][k].
struct DotProduct {
  Operand a;  // [m, length]
  Operand b;  // [n, length]
  int64_t length = 0;
  Result out;  // [m, n]
};

// Multiplies kA rows of a by `columns` <= kB rows of b, from row j of b on.
// Each sum is taken in the same order whatever kA and kB are.
template <int kA, int kB>
HWY_INLINE void DotTile(const DotProduct& p, int64_t i, int64_t j,
                        int64_t columns) {
  const float* a[kA];
  const float* b[kB];
  for (int x = 0; x < kA; ++x) a[x] = p.a.row(i + x);
  for (int y = 0; y < kB; ++y) {
    b[y] = p.b.row(j + std::min<int64_t>(y, columns - 1));
  }
  V sum[kA][kB];
  for (auto& row : sum) {
    for (V& s : row) s = hn::Zero(kFloat);
  }
  int64_t k = 0;
  for (; k + kLanes <= p.length; k += kLanes) {
    V b_k[kB];
    for (int y = 0; y < kB; ++y) b_k[y] = hn::LoadU(kFloat, b[y] + k);
    for (int x = 0; x < kA; ++x) {
      const V a_k = hn::LoadU(kFloat, a[x] + k);
      for (int y = 0; y < kB; ++y) {
        sum[x][y] = hn::MulAdd(a_k, b_k[y], sum[x][y]);
      }
    }
  }
  for (int x = 0; x < kA; ++x) {
    float sums[kB];
    for (int y = 0; y < kB; y += 4) StoreLaneSums(sum[x] + y, sums + y);
    for (int64_t l = k; l < p.length; ++l) {
      for (int y = 0; y < kB; ++y) sums[y] += a[x][l] * b[y][l];
    }
    float* out = p.out.row(i + x) + j;
    if (columns == kB) {  // known to the compiler: vectors
      for (int y = 0; y < kB; ++y) out[y] += sums[y];
    } else {
      for (int64_t y = 0; y < columns; ++y) out[y] += sums[y];
    }
  }
}

// So many rows of a are taken that kRowsA x 4 sums, one row of b and one number
// of a fit into the registers.
constexpr int kRowsA = HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_NEON ? 4 : 2;

template <int kA, int kB>
HWY_INLINE void DotRow(const DotProduct& p, int64_t i, int64_t n) {
  int64_t j = 0;
  for (; j + kB <= n; j += kB) DotTile<kA, kB>(p, i, j, kB);
  if (j < n) DotTile<kA, kB>(p, i, j, n - j);
}

// Multiplies all rows. A single row of a goes against 8 of b, so that additions
// overlap.
HWY_INLINE void Dot(const DotProduct& p, int64_t m, int64_t n) {
  int64_t i = 0;
  for (; i + kRowsA <= m; i += kRowsA) DotRow<kRowsA, 4>(p, i, n);
  if (i + 2 <= m) {
    DotRow<2, 4>(p, i, n);
    i += 2;
  }
  if (i < m) DotRow<1, 8>(p, i, n);
}

// Computes out[i][c] += sum over k of a[i][k] b[k][c].
struct Combination {
  Operand a;  // [m, length]
  Operand b;  // [length, n], n a multiple of kLanes
  int64_t length = 0;
  Result out;  // [m, n]
};

template <int kA, int kVectors>
HWY_INLINE void CombineTile(const Combination& p, int64_t i, int64_t c) {
  V sum[kA][kVectors];
  for (int x = 0; x < kA; ++x) {
    for (int y = 0; y < kVectors; ++y) {
      sum[x][y] = hn::LoadU(kFloat, p.out.row(i + x) + c + y * kLanes);
    }
  }
  for (int64_t k = 0; k < p.length; ++k) {
    V b_k[kVectors];
    for (int y = 0; y < kVectors; ++y) {
      b_k[y] = hn::LoadU(kFloat, p.b.row(k) + c + y * kLanes);
    }
    for (int x = 0; x < kA; ++x) {
      const V a_k = hn::Set(kFloat, p.a.row(i + x)[k]);
      for (int y = 0; y < kVectors; ++y) {
        sum[x][y] = hn::MulAdd(a_k, b_k[y], sum[x][y]);
      }
    }
  }
  for (int x = 0; x < kA; ++x) {
    for (int y = 0; y < kVectors; ++y) {
      hn::StoreU(sum[x][y], kFloat, p.out.row(i + x) + c + y * kLanes);
    }
  }
}

template <int kA>
HWY_INLINE void CombineRow(const Combination& p, int64_t i, int64_t n) {
  int64_t c = 0;
  for (; c + 4 * kLanes <= n; c += 4 * kLanes) CombineTile<kA, 4>(p, i, c);
  for (; c < n; c += kLanes) CombineTile<kA, 1>(p, i, c);
}

HWY_INLINE void Combine(const Combination& p, int64_t m, int64_t n) {
  int64_t i = 0;
  for (; i + kRowsA <= m; i += kRowsA) CombineRow<kRowsA>(p, i, n);
  for (; i < m; ++i) CombineRow<1>(p, i, n);
}

#if HWY_TARGET != HWY_SCALAR

// Loads four numbers of each row, one row per 128-bit block, from rows that are
// `step` floats apart.
template <class DV>
HWY_INLINE hn::Vec<DV> LoadBlocks(DV d, const float* from, int64_t step) {
  if constexpr (hn::MaxLanes(DV()) <= 4) {
    return hn::LoadU(d, from);
  } else {
    const hn::Half<DV> half;
    constexpr int64_t kBlocks = hn::MaxLanes(DV()) / 8;
    return hn::Combine(d, LoadBlocks(half, from + kBlocks * step, step),
                       LoadBlocks(half, from, step));
  }
}

// Transposes [rows, cols] to [cols, rows], both multiples of 16.
HWY_INLINE void Transpose(const Operand& from, int64_t rows, int64_t cols,
                          const Result& to) {
  const hn::Repartition<uint64_t, D> pair;
  for (int64_t r = 0; r < rows; r += kLanes) {
    for (int64_t c = 0; c < cols; c += 4) {
      V v[4];  // block b of v[j] is row r + 4 b + j
      for (int64_t j = 0; j < 4; ++j) {
        v[j] = LoadBlocks(kFloat, from.row(r + j) + c, 4 * from.stride);
      }
      const auto low = [&](V x, V y) HWY_ATTR {  // x0 y0 x1 y1 of each block
        return hn::BitCast(pair, hn::InterleaveLower(kFloat, x, y));
      };
      const auto high = [&](V x, V y) HWY_ATTR {
        return hn::BitCast(pair, hn::InterleaveUpper(kFloat, x, y));
      };
      const auto a = low(v[0], v[1]), b = low(v[2], v[3]);
      const auto e = high(v[0], v[1]), f = high(v[2], v[3]);
      const auto store = [&](auto x, int64_t column) HWY_ATTR {
        hn::StoreU(hn::BitCast(kFloat, x), kFloat, to.row(column) + r);
      };
      store(hn::InterleaveLower(pair, a, b), c);
      store(hn::InterleaveUpper(pair, a, b), c + 1);
      store(hn::InterleaveLower(pair, e, f), c + 2);
      store(hn::InterleaveUpper(pair, e, f), c + 3);
    }
  }
}

#else

HWY_INLINE void Transpose(const Operand& from, int64_t rows, int64_t cols,
                          const Result& to) {
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < cols; ++c) to.row(c)[r] = from.row(r)[c];
  }
}

#endif

}  // namespace subgen::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
