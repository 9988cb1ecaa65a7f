// Expands stored numbers to float32, a vector at a time. The file is compiled
// once per target.
#if defined(SUBGEN_KERNELS_CPU_EXPAND_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SUBGEN_KERNELS_CPU_EXPAND_INL_H_
#undef SUBGEN_KERNELS_CPU_EXPAND_INL_H_
#else
#define SUBGEN_KERNELS_CPU_EXPAND_INL_H_
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <cstring>

#include "kernels/cpu/simd/expand_blocks-inl.h"
#include "kernels/memory/row_format.h"
#include "kernels/quant/block_format.h"

HWY_BEFORE_NAMESPACE();
namespace subgen::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// A vector has at most 16 lanes: half a block of 32.
using D = hn::CappedTag<float, 16>;
using V = hn::Vec<D>;
constexpr D kFloat;
constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(D()));

// Returns the f16 scale at `block`, of which at least 8 bytes must be there.
HWY_INLINE float BlockScale(const std::byte* block) {
  const hn::CappedTag<float, 4> d;
  const hn::Rebind<hwy::float16_t, decltype(d)> half;
  return hn::GetLane(hn::PromoteTo(
      d, hn::LoadU(half, reinterpret_cast<const hwy::float16_t*>(block))));
}

// Expands 16 bytes: low nibbles are 16 numbers at `low`, high nibbles those at
// `high`. The product is exact (4 + 11 bits), so this rounds as Dequantize
// does.
HWY_INLINE void ExpandNibbles(const std::byte* bytes, float scale, float offset,
                              float* low_out, float* high_out) {
  const hn::RebindToSigned<D> integer;
  const hn::Rebind<uint8_t, D> byte;
  const V scales = hn::Set(kFloat, scale), offsets = hn::Set(kFloat, offset);
  for (int64_t i = 0; i < 16; i += kLanes) {
    const auto both = hn::PromoteTo(
        integer, hn::LoadU(byte, reinterpret_cast<const uint8_t*>(bytes) + i));
    const V low = hn::ConvertTo(kFloat, hn::And(both, hn::Set(integer, 15)));
    const V high = hn::ConvertTo(kFloat, hn::ShiftRight<4>(both));
    hn::StoreU(hn::MulAdd(low, scales, offsets), kFloat, low_out + i);
    hn::StoreU(hn::MulAdd(high, scales, offsets), kFloat, high_out + i);
  }
}

HWY_INLINE void ExpandQ4_0(const std::byte* blocks, int64_t count, float* out) {
  for (int64_t i = 0; i < count; i += 32, blocks += 18) {
    const float scale = BlockScale(blocks);
    ExpandNibbles(blocks + 2, scale, -8.0f * scale, out + i, out + i + 16);
  }
}

HWY_INLINE void ExpandQ4_1(const std::byte* blocks, int64_t count, float* out) {
  for (int64_t i = 0; i < count; i += 32, blocks += 20) {
    ExpandNibbles(blocks + 4, BlockScale(blocks), BlockScale(blocks + 2),
                  out + i, out + i + 16);
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

template <class ExpandBlock>
HWY_INLINE void ExpandBlocks(BlockFormat format, const std::byte* blocks,
                             int64_t count, float* out, ExpandBlock expand) {
  const int64_t size = BlockSize(format), bytes = BlockBytes(format);
  for (int64_t i = 0; i < count; i += size, blocks += bytes) {
    expand(blocks, out + i);
  }
}

// Expands to the same numbers as Dequantize. `count` is a multiple of the block
// size.
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
    case BlockFormat::kQ5_0:
      return ExpandBlocks(format, blocks, count, out, ExpandQ5_0);
    case BlockFormat::kQ5_1:
      return ExpandBlocks(format, blocks, count, out, ExpandQ5_1);
    case BlockFormat::kQ4_K:
      return ExpandBlocks(format, blocks, count, out, ExpandQ4_K);
    case BlockFormat::kQ5_K:
      return ExpandBlocks(format, blocks, count, out, ExpandQ5_K);
    case BlockFormat::kQ6_K:
      return ExpandBlocks(format, blocks, count, out, ExpandQ6_K);
    case BlockFormat::kIQ4_NL:
      return ExpandBlocks(format, blocks, count, out, ExpandIQ4_NL);
    case BlockFormat::kIQ4_XS:
      return ExpandBlocks(format, blocks, count, out, ExpandIQ4_XS);
  }
}

// Expands blocks of 64 numbers; those of 32 are Q4_1.
HWY_INLINE void ExpandWideQ4(const std::byte* blocks, int64_t count,
                             float* out) {
  for (int64_t i = 0; i < count; i += 64, blocks += 36, out += 64) {
    const float scale = BlockScale(blocks), minimum = BlockScale(blocks + 2);
    ExpandNibbles(blocks + 4, scale, minimum, out, out + 32);
    ExpandNibbles(blocks + 20, scale, minimum, out + 16, out + 48);
  }
}

// Expands with at most 8 lanes, because eight numbers are three bytes. They are
// read as a word with the byte before them, which is there, and shifted lane by
// lane.
HWY_INLINE void ExpandQ3(const std::byte* blocks, int64_t count, int64_t size,
                         float* out) {
  const hn::CappedTag<float, 8> d;
  const hn::RebindToUnsigned<decltype(d)> word;
  const hn::RebindToSigned<decltype(d)> integer;
  constexpr int64_t kStep = hn::MaxLanes(d);
  for (int64_t i = 0; i < count; i += size) {
    const auto scale = hn::Set(d, BlockScale(blocks));
    const auto minimum = hn::Set(d, BlockScale(blocks + 2));
    const std::byte* bytes = blocks + 3;
    for (int64_t j = 0; j < size; j += 8, bytes += 3) {
      uint32_t bits;
      std::memcpy(&bits, bytes, 4);
      for (int64_t k = 0; k < 8; k += kStep) {
        const auto shift = hn::Iota(word, static_cast<uint32_t>(k));
        const auto shifted = hn::Shr(hn::Set(word, bits >> 8),
                                     hn::Add(shift, hn::Add(shift, shift)));
        const auto quant = hn::ConvertTo(
            d, hn::BitCast(integer, hn::And(shifted, hn::Set(word, 7))));
        hn::StoreU(hn::MulAdd(quant, scale, minimum), d, out + i + j + k);
      }
    }
    blocks += 4 + size / 8 * 3;
  }
}

// Expands rows [first, first + count) of a cache, `width` floats apart, with
// zeros behind each row's numbers.
HWY_INLINE void ExpandRows(const Rows& rows, int64_t first, int64_t count,
                           int64_t width, float* out) {
  const int64_t block = RowBlock(rows.format, rows.dim);
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
      case RowFormat::kQ8:
        ExpandQ8_0(row, rows.dim, out);
        break;
      case RowFormat::kQ4:
        if (block == 64) {
          ExpandWideQ4(row, rows.dim, out);
        } else {
          ExpandQ4_1(row, rows.dim, out);
        }
        break;
      case RowFormat::kQ3:
        ExpandQ3(row, rows.dim, block, out);
        break;
    }
    std::fill(out + rows.dim, out + width, 0.0f);
  }
}

}  // namespace subgen::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
