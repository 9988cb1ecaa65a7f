// Blocks of quantised weights to vectors of bytes, for AVX-512 VNNI and VBMI.
// Included by integer_linear.cc alone, which pushes the target.
#pragma once

#include <immintrin.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "kernels/cpu/quantized_tokens.h"
#include "kernels/quant/block_format.h"

HWY_PUSH_ATTRIBUTES(SUBGEN_VNNI_TARGET)
namespace subgen::cpu {
namespace {

using Bytes = std::array<uint8_t, 64>;

inline __m512i Load(const Bytes& bytes) {
  return _mm512_loadu_si512(bytes.data());
}

// The first `count` bytes, zeros behind; reads no byte of what is behind.
inline __m512i LoadFront(const std::byte* from, int64_t count) {
  const int64_t bytes = std::clamp<int64_t>(count, 0, 64);
  const __mmask64 front = bytes == 64 ? ~0ull : (1ull << bytes) - 1;
  return _mm512_maskz_loadu_epi8(front, from);
}

// A group of four blocks of one weight row as unsigned bytes, in the order of
// QuantizedToken. Blocks that are not there are all equal.
struct WeightGroup {
  __m512i first;
  __m512i last;
};

// Words of row r of four are those of index r mod 4.
inline __mmask64 RowMask(int row) { return 0x0303030303030303ull << 2 * row; }

// Blocks of [kHeader bytes of scale and minimum | 16 bytes of nibbles].
template <int64_t kHeader, bool kIsCounted>
struct NibbleBlocks {
  static constexpr bool kHasMinimum = kIsCounted;
  static constexpr int kOffset = kIsCounted ? 0 : 8;
  static constexpr int64_t kBytes = kHeader + 16;
  static constexpr int64_t kSecond = 4 * kBytes - 64;  // where load 2 starts

  static constexpr Bytes QuantIndex() {
    Bytes index{};
    for (int64_t i = 0; i < 64; ++i) {
      const int64_t byte = i / 16 * kBytes + kHeader + i % 16;
      index[i] = byte < 64 ? byte : 64 + byte - kSecond;
    }
    return index;
  }
  static constexpr Bytes HeaderIndex() {
    Bytes index{};
    for (int64_t i = 0; i < 64; ++i) {
      index[i] = i / 8 % 4 * kBytes + (i < 32 ? 0 : 2) + i % 2;
    }
    return index;
  }

  static WeightGroup Quants(const std::byte* blocks, int64_t count) {
    static constexpr Bytes kIndex = QuantIndex();
    const __m512i mask = _mm512_set1_epi8(15);
    const __m512i both = _mm512_permutex2var_epi8(
        LoadFront(blocks, count * kBytes), Load(kIndex),
        LoadFront(blocks + kSecond, count * kBytes - kSecond));
    return {_mm512_and_si512(both, mask),
            _mm512_and_si512(_mm512_srli_epi16(both, 4), mask)};
  }
  // Scales of row r at words 4 b + r, minima 16 words behind; other words stay.
  static __m512i Headers(__m512i headers, int row, const std::byte* blocks,
                         int64_t count) {
    static constexpr Bytes kIndex = HeaderIndex();
    return _mm512_mask_permutexvar_epi8(headers, RowMask(row), Load(kIndex),
                                        LoadFront(blocks, count * kBytes));
  }
};

// Blocks of [2 bytes of scale | 32 signed bytes].
struct ByteBlocks {
  static constexpr bool kHasMinimum = false;
  static constexpr int kOffset = 128;
  static constexpr int64_t kBytes = 34;

  static __m256i Block(const std::byte* blocks, int64_t index, int64_t count) {
    const __mmask8 there = index < count ? 0xff : 0;
    return _mm256_maskz_loadu_epi32(there, blocks + index * kBytes + 2);
  }
  static WeightGroup Quants(const std::byte* blocks, int64_t count) {
    const __m512i front =
        _mm512_inserti64x4(_mm512_castsi256_si512(Block(blocks, 0, count)),
                           Block(blocks, 1, count), 1);
    const __m512i back =
        _mm512_inserti64x4(_mm512_castsi256_si512(Block(blocks, 2, count)),
                           Block(blocks, 3, count), 1);
    const __m512i sign = _mm512_set1_epi8(-128);
    return {_mm512_xor_si512(_mm512_shuffle_i32x4(front, back, 0x88), sign),
            _mm512_xor_si512(_mm512_shuffle_i32x4(front, back, 0xdd), sign)};
  }

  static constexpr Bytes HeaderIndex() {
    Bytes index{};
    for (int64_t i = 0; i < 64; ++i) index[i] = i / 8 % 2 * kBytes + i % 2;
    return index;
  }
  static __m512i Headers(__m512i headers, int row, const std::byte* blocks,
                         int64_t count) {
    static constexpr Bytes kIndex = HeaderIndex();
    constexpr __mmask64 kFront = 0xffff;  // words of the first two blocks
    const __m512i some = _mm512_mask_permutexvar_epi8(
        headers, RowMask(row) & kFront, Load(kIndex),
        LoadFront(blocks, count * kBytes));
    return _mm512_mask_permutexvar_epi8(
        some, RowMask(row) & ~kFront, Load(kIndex),
        LoadFront(blocks + 2 * kBytes, (count - 2) * kBytes));
  }
};

using BlocksQ4_0 = NibbleBlocks<2, false>;
using BlocksQ4_1 = NibbleBlocks<4, true>;
using BlocksQ8_0 = ByteBlocks;

// Of the words that Headers merged: lane 4 b + r is block b of row r.
inline __m512 Scales(__m512i headers) {
  return _mm512_cvtph_ps(_mm512_castsi512_si256(headers));
}
inline __m512 Minima(__m512i headers) {
  return _mm512_cvtph_ps(_mm512_extracti64x4_epi64(headers, 1));
}

}  // namespace
}  // namespace subgen::cpu
HWY_POP_ATTRIBUTES
