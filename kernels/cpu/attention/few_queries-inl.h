// Multiplies a few queries by the rows of a cache as they are stored: each
// number is widened in a register, for all queries at once. The file is
// compiled once per target.
#if defined(SUBGEN_KERNELS_CPU_FEW_QUERIES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SUBGEN_KERNELS_CPU_FEW_QUERIES_INL_H_
#undef SUBGEN_KERNELS_CPU_FEW_QUERIES_INL_H_
#else
#define SUBGEN_KERNELS_CPU_FEW_QUERIES_INL_H_
#endif

#include <hwy/highway.h>

#include <algorithm>

#include "kernels/cpu/attention/attention_piece.h"
#include "kernels/cpu/simd/product-inl.h"

HWY_BEFORE_NAMESPACE();
namespace subgen::cpu::HWY_NAMESPACE {

// Numbers are read in strips, which end with a block of q8.
constexpr int64_t kStrip = 32;
constexpr int64_t kStripVectors = kStrip / kLanes;
constexpr int64_t kFewQueries = 4;  // at a time

// Fewer queries than these are multiplied by the rows as they lie, because
// transposing the keys would cost more.
constexpr int64_t kManyQueries = 8;

struct StripBF16 {
  static HWY_INLINE void Load(const std::byte* row, int64_t k, V* out) {
    const hn::RebindToUnsigned<D> wide;
    const hn::Rebind<uint16_t, D> narrow;
    const auto* bits = reinterpret_cast<const uint16_t*>(row) + k;
    for (int64_t x = 0; x < kStripVectors; ++x) {
      const auto value =
          hn::PromoteTo(wide, hn::LoadU(narrow, bits + x * kLanes));
      out[x] = hn::BitCast(kFloat, hn::ShiftLeft<16>(value));
    }
  }
};

struct StripF16 {
  static HWY_INLINE void Load(const std::byte* row, int64_t k, V* out) {
    const hn::Rebind<hwy::float16_t, D> half;
    const auto* numbers = reinterpret_cast<const hwy::float16_t*>(row) + k;
    for (int64_t x = 0; x < kStripVectors; ++x) {
      out[x] = hn::PromoteTo(kFloat, hn::LoadU(half, numbers + x * kLanes));
    }
  }
};

struct StripQ8 {
  static HWY_INLINE void Load(const std::byte* row, int64_t k, V* out) {
    const hn::RebindToSigned<D> integer;
    const hn::Rebind<int8_t, D> byte;
    const std::byte* block = row + k / 32 * 34;
    const V scale = hn::Set(kFloat, BlockScale(block));
    const auto* quants = reinterpret_cast<const int8_t*>(block + 2);
    for (int64_t x = 0; x < kStripVectors; ++x) {
      const auto quant =
          hn::PromoteTo(integer, hn::LoadU(byte, quants + x * kLanes));
      out[x] = hn::Mul(hn::ConvertTo(kFloat, quant), scale);
    }
  }
};

// Reads blocks of 64: numbers 0 to 31 are in the low halves of 32 bytes, the
// others in the high halves.
struct StripWideQ4 {
  static HWY_INLINE void Load(const std::byte* row, int64_t k, V* out) {
    const hn::RebindToSigned<D> integer;
    const hn::Rebind<uint8_t, D> byte;
    const std::byte* block = row + k / 64 * 36;
    const V scale = hn::Set(kFloat, BlockScale(block));
    const V minimum = hn::Set(kFloat, BlockScale(block + 2));
    const auto* bytes = reinterpret_cast<const uint8_t*>(block + 4);
    for (int64_t x = 0; x < kStripVectors; ++x) {
      const auto both =
          hn::PromoteTo(integer, hn::LoadU(byte, bytes + x * kLanes));
      const auto half = k % 64 == 0 ? hn::And(both, hn::Set(integer, 15))
                                    : hn::ShiftRight<4>(both);
      out[x] = hn::MulAdd(hn::ConvertTo(kFloat, half), scale, minimum);
    }
  }
};

// The rows of a tile are `stride` bytes apart and have `dim` numbers.
struct StoredTile {
  const std::byte* data = nullptr;
  int64_t stride = 0;
  int64_t count = 0;
  int64_t dim = 0;
  HWY_INLINE const std::byte* row(int64_t i) const { return data + i * stride; }
};

// Rows this far behind are prefetched while a row is worked on, into the
// second-level cache, because the first holds a tile and little more. The
// distance was measured (MEASURED.md).
constexpr int64_t kPrefetchBytes = 8192;

HWY_INLINE void PrefetchBehind(const std::byte* from, int64_t bytes) {
  for (int64_t i = 0; i < bytes; i += 64) {
    __builtin_prefetch(from + kPrefetchBytes + i, 0, 2);
  }
}

// Sets logits[q][j] = query q . row j, for whole fours of rows (at the end of
// the tile, the last row again).
template <class Strip, int kQueries>
HWY_INLINE void FewLogits(const Operand& queries, const StoredTile& tile,
                          const Result& logits) {
  for (int64_t j = 0; j < tile.count; j += 4) {
    PrefetchBehind(tile.row(j), 4 * tile.stride);
    V sums[kQueries][4];
    for (auto& query : sums) {
      for (V& sum : query) sum = hn::Zero(kFloat);
    }
    for (int64_t k = 0; k < tile.dim; k += kStrip) {
      for (int64_t r = 0; r < 4; ++r) {
        V numbers[kStripVectors];
        Strip::Load(tile.row(std::min(j + r, tile.count - 1)), k, numbers);
        for (int64_t x = 0; x < kStripVectors; ++x) {
          for (int q = 0; q < kQueries; ++q) {
            const V query = hn::LoadU(kFloat, queries.row(q) + k + x * kLanes);
            sums[q][r] = hn::MulAdd(numbers[x], query, sums[q][r]);
          }
        }
      }
    }
    for (int q = 0; q < kQueries; ++q) {
      StoreLaneSums(sums[q], logits.row(q) + j);
    }
  }
}

// Adds to out[q] the sum over rows j of weights[q][j] row j.
template <class Strip, int kQueries>
HWY_INLINE void FewSums(const Operand& weights, const StoredTile& tile,
                        const Result& out) {
  for (int64_t k = 0; k < tile.dim; k += kStrip) {
    V sums[kQueries][kStripVectors];
    for (int q = 0; q < kQueries; ++q) {
      for (int64_t x = 0; x < kStripVectors; ++x) {
        sums[q][x] = hn::LoadU(kFloat, out.row(q) + k + x * kLanes);
      }
    }
    for (int64_t j = 0; j < tile.count; ++j) {
      PrefetchBehind(tile.row(j) + k * tile.stride / tile.dim, 1);
      V numbers[kStripVectors];
      Strip::Load(tile.row(j), k, numbers);
      for (int q = 0; q < kQueries; ++q) {
        const V weight = hn::Set(kFloat, weights.row(q)[j]);
        for (int64_t x = 0; x < kStripVectors; ++x) {
          sums[q][x] = hn::MulAdd(weight, numbers[x], sums[q][x]);
        }
      }
    }
    for (int q = 0; q < kQueries; ++q) {
      for (int64_t x = 0; x < kStripVectors; ++x) {
        hn::StoreU(sums[q][x], kFloat, out.row(q) + k + x * kLanes);
      }
    }
  }
}

// Returns whether there are kernels for `count` queries over such rows.
HWY_INLINE bool TakesFew(const Rows& rows, int64_t count) {
  if (HWY_TARGET == HWY_SCALAR || count >= kManyQueries ||
      rows.dim % kStrip != 0) {
    return false;
  }
  return rows.format == RowFormat::kBF16 || rows.format == RowFormat::kF16 ||
         rows.format == RowFormat::kQ8 ||
         (rows.format == RowFormat::kQ4 && rows.dim % 64 == 0);
}

struct LogitsOfFew {
  template <class Strip, int kQueries>
  static HWY_INLINE void Run(const Operand& queries, const StoredTile& tile,
                             const Result& logits) {
    FewLogits<Strip, kQueries>(queries, tile, logits);
  }
};

struct SumsOfFew {
  template <class Strip, int kQueries>
  static HWY_INLINE void Run(const Operand& weights, const StoredTile& tile,
                             const Result& out) {
    FewSums<Strip, kQueries>(weights, tile, out);
  }
};

template <class Kernel, class Strip>
HWY_INLINE void RunFewOf(int64_t count, const Operand& factors,
                         const StoredTile& tile, const Result& out) {
  int64_t q = 0;
  for (; q + kFewQueries <= count; q += kFewQueries) {
    Kernel::template Run<Strip, kFewQueries>({factors.row(q), factors.stride},
                                             tile, {out.row(q), out.stride});
  }
  const Operand rest{factors.row(q), factors.stride};
  const Result rest_out{out.row(q), out.stride};
  switch (count - q) {
    case 1:
      return Kernel::template Run<Strip, 1>(rest, tile, rest_out);
    case 2:
      return Kernel::template Run<Strip, 2>(rest, tile, rest_out);
    case 3:
      return Kernel::template Run<Strip, 3>(rest, tile, rest_out);
    default:
      return;
  }
}

// Calls the kernel with the tile's rows and `queries` queries, which TakesFew
// must accept.
template <class Kernel>
HWY_INLINE void RunFew(const Rows& rows, Range range, int64_t queries,
                       const Operand& factors, const Result& out) {
  const StoredTile tile{rows.row(range.first), RowBytes(rows.format, rows.dim),
                        range.count, rows.dim};
  switch (rows.format) {
    case RowFormat::kBF16:
      return RunFewOf<Kernel, StripBF16>(queries, factors, tile, out);
    case RowFormat::kF16:
      return RunFewOf<Kernel, StripF16>(queries, factors, tile, out);
    case RowFormat::kQ8:
      return RunFewOf<Kernel, StripQ8>(queries, factors, tile, out);
    default:
      return RunFewOf<Kernel, StripWideQ4>(queries, factors, tile, out);
  }
}

}  // namespace subgen::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
