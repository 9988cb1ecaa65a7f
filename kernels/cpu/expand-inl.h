// Stored numbers to float32, a vector at a time. Compiled once per target.
#if defined(SUBGEN_KERNELS_CPU_EXPAND_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SUBGEN_KERNELS_CPU_EXPAND_INL_H_
#undef SUBGEN_KERNELS_CPU_EXPAND_INL_H_
#else
#define SUBGEN_KERNELS_CPU_EXPAND_INL_H_
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <cstring>

#include "kernels/memory/row_format.h"
#include "kernels/quant/block_format.h"

HWY_BEFORE_NAMESPACE();
namespace subgen::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// At most 16 lanes: half a block of 32.
using D = hn::CappedTag<float, 16>;
using V = hn::Vec<D>;
constexpr D kFloat;
constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(D()));

// The f16 scale at `block`, of which at least 8 bytes must be there.
HWY_INLINE float BlockScale(const std::byte* block) {
  const hn::CappedTag<float, 4> d;
  const hn::Rebind<hwy::float16_t, decltype(d)> half;
  return hn::GetLane(hn::PromoteTo(
      d, hn::LoadU(half, reinterpret_cast<const hwy::float16_t*>(block))));
}

// 16 bytes: low nibbles are numbers 0 to 15, high nibbles 16 to 31. The product
// is exact (4 + 11 bits), so this rounds as Dequantize does.
HWY_INLINE void ExpandNibbles(const std::byte* bytes, float scale, float offset,
                              float* out) {
  const hn::RebindToSigned<D> integer;
  const hn::Rebind<uint8_t, D> byte;
  const V scales = hn::Set(kFloat, scale), offsets = hn::Set(kFloat, offset);
  for (int64_t i = 0; i < 16; i += kLanes) {
    const auto both = hn::PromoteTo(
        integer, hn::LoadU(byte, reinterpret_cast<const uint8_t*>(bytes) + i));
    const V low = hn::ConvertTo(kFloat, hn::And(both, hn::Set(integer, 15)));
    const V high = hn::ConvertTo(kFloat, hn::ShiftRight<4>(both));
    hn::StoreU(hn::MulAdd(low, scales, offsets), kFloat, out + i);
    hn::StoreU(hn::MulAdd(high, scales, offsets), kFloat, out + 16 + i);
  }
}

HWY_INLINE void ExpandQ4_0(const std::byte* blocks, int64_t count, float* out) {
  for (int64_t i = 0; i < count; i += 32, blocks += 18) {
    const float scale = BlockScale(blocks);
    ExpandNibbles(blocks + 2, scale, -8.0f * scale, out + i);
  }
}

HWY_INLINE void ExpandQ4_1(const std::byte* blocks, int64_t count, float* out) {
  for (int64_t i = 0; i < count; i += 32, blocks += 20) {
    ExpandNibbles(blocks + 4, BlockScale(blocks), BlockScale(blocks + 2),
                  out + i);
  }
}

HWY_INLINE void ExpandQ8_0(const std::byte* blocks, int64_t count, float* out) {
  const hn::RebindToSigned<D> integer;
  const hn::Rebind<int8_t, D> byte;
  for (int64_t i = 0; i < count; i += 32, blocks += 34) {
    const V scales = hn::Set(kFloat, BlockScale(blocks));
    const auto* quants = reinterpret_cast<const int8_t*>(blocks + 2);
    for (int64_t j = 0; j < 32; j += kLanes) {
      const V value = hn::ConvertTo(
          kFloat, hn::PromoteTo(integer, hn::LoadU(byte, quants + j)));
      hn::StoreU(hn::Mul(value, scales), kFloat, out + i + j);
    }
  }
}

HWY_INLINE void ExpandBF16(const std::byte* bits, int64_t count, float* out) {
  const hn::RebindToUnsigned<D> wide;
  const hn::Rebind<uint16_t, D> narrow;
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const auto value = hn::PromoteTo(
        wide,
        hn::LoadU(narrow, reinterpret_cast<const uint16_t*>(bits + 2 * i)));
    hn::StoreU(hn::BitCast(kFloat, hn::ShiftLeft<16>(value)), kFloat, out + i);
  }
  DecodeRow(RowFormat::kBF16, bits + 2 * i,
            {out + i, static_cast<size_t>(count - i)});
}

HWY_INLINE void ExpandF16(const std::byte* bits, int64_t count, float* out) {
  const hn::Rebind<hwy::float16_t, D> half;
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const auto* from = reinterpret_cast<const hwy::float16_t*>(bits + 2 * i);
    hn::StoreU(hn::PromoteTo(kFloat, hn::LoadU(half, from)), kFloat, out + i);
  }
  DecodeRow(RowFormat::kF16, bits + 2 * i,
            {out + i, static_cast<size_t>(count - i)});
}

// The same numbers as Dequantize. `count` is a multiple of the block size.
HWY_INLINE void Expand(BlockFormat format, const std::byte* blocks,
                       int64_t count, float* out) {
  switch (format) {
    case BlockFormat::kF32:
      std::memcpy(out, blocks, count * sizeof(float));
      return;
    case BlockFormat::kF16:
      return ExpandF16(blocks, count, out);
    case BlockFormat::kBF16:
      return ExpandBF16(blocks, count, out);
    case BlockFormat::kQ4_0:
      return ExpandQ4_0(blocks, count, out);
    case BlockFormat::kQ4_1:
      return ExpandQ4_1(blocks, count, out);
    case BlockFormat::kQ8_0:
      return ExpandQ8_0(blocks, count, out);
    default:
      return Dequantize(format, blocks, {out, static_cast<size_t>(count)});
  }
}

// Rows [first, first + count) of a cache, `width` floats apart, zeros behind
// each row's numbers.
HWY_INLINE void ExpandRows(const Rows& rows, int64_t first, int64_t count,
                           int64_t width, float* out) {
  for (int64_t i = 0; i < count; ++i, out += width) {
    const std::byte* row = rows.row(first + i);
    switch (rows.format) {
      case RowFormat::kF32:
        std::memcpy(out, row, rows.dim * sizeof(float));
        break;
      case RowFormat::kBF16:
        ExpandBF16(row, rows.dim, out);
        break;
      case RowFormat::kF16:
        ExpandF16(row, rows.dim, out);
        break;
    }
    std::fill(out + rows.dim, out + width, 0.0f);
  }
}

}  // namespace subgen::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
