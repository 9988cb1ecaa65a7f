// Few tokens: four weight rows at a time, straight from their blocks. Included
// by integer_linear.cc alone.
#pragma once

#include "kernels/cpu/integer_blocks-inl.h"

HWY_PUSH_ATTRIBUTES(SUBGEN_VNNI_TARGET)
namespace subgen::cpu {
namespace {

inline constexpr int64_t kChunkGroups = 16;  // summed up by themselves

using FourRows = std::array<const std::byte*, 4>;

// In each 128-bit lane: the sums of x[0], x[1], x[2], x[3] over that lane.
inline __m512i SumLanes(const __m512i* x) {
  const __m512i x01 = _mm512_add_epi32(_mm512_unpacklo_epi32(x[0], x[1]),
                                       _mm512_unpackhi_epi32(x[0], x[1]));
  const __m512i x23 = _mm512_add_epi32(_mm512_unpacklo_epi32(x[2], x[3]),
                                       _mm512_unpackhi_epi32(x[2], x[3]));
  return _mm512_add_epi32(_mm512_unpacklo_epi64(x01, x23),
                          _mm512_unpackhi_epi64(x01, x23));
}

// Memory this far behind is asked for, on the whole in time: measured.
inline constexpr int64_t kPrefetchBytes = 8192;

// Four rows lie one behind the other, as a rule.
inline void Prefetch(const std::byte* from, int64_t bytes) {
  const char* ahead = reinterpret_cast<const char*>(from) + kPrefetchBytes;
  for (int64_t i = 0; i < bytes; i += 64) _mm_prefetch(ahead + i, _MM_HINT_T0);
}

// Number b of four in each element of lane b.
inline __m512i SpreadLanes(const void* four) {
  const __m512i index =
      _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
  return _mm512_permutexvar_epi32(
      index, _mm512_castsi128_si512(
                 _mm_loadu_si128(static_cast<const __m128i*>(four))));
}

// Halves of the quants of a token.
struct TokenGroup {
  TokenGroup(const int8_t* quants, int64_t g)
      : first(_mm512_loadu_si512(quants + g * kGroupQuants)),
        last(_mm512_loadu_si512(quants + g * kGroupQuants + 64)) {}

  __m512i Dot(const WeightGroup& weights, __m512i sum) const {
    sum = _mm512_dpbusd_epi32(sum, weights.first, first);
    return _mm512_dpbusd_epi32(sum, weights.last, last);
  }

  __m512i first;
  __m512i last;
};

// Group g, of which `count` blocks are there, added to the sums of lane 4 b + r
// for blocks b mod 4 of row r.
template <class Blocks>
inline __m512 AddGroup(const FourRows& rows, const QuantizedToken& token,
                       int64_t g, int64_t count, __m512 sums) {
  const TokenGroup high(token.high, g), low(token.low, g);
  const int64_t offset = g * kGroupBlocks * Blocks::kBytes;
  Prefetch(rows[0] + 4 * offset, 4 * kGroupBlocks * Blocks::kBytes);
  __m512i headers = _mm512_setzero_si512();
  __m512i dots[4];
  for (int r = 0; r < 4; ++r) {
    const WeightGroup group = Blocks::Quants(rows[r] + offset, count);
    headers = Blocks::Headers(headers, r, rows[r] + offset, count);
    const __m512i zero = _mm512_setzero_si512();
    dots[r] = low.Dot(group, _mm512_slli_epi32(high.Dot(group, zero), 8));
  }
  __m512i dot = SumLanes(dots);
  const int64_t block = g * kGroupBlocks;
  if constexpr (Blocks::kOffset != 0) {
    dot = _mm512_sub_epi32(
        dot, _mm512_mullo_epi32(_mm512_set1_epi32(Blocks::kOffset),
                                SpreadLanes(token.counts + block)));
  }
  const __m512 scale = _mm512_mul_ps(
      Scales(headers), _mm512_castsi512_ps(SpreadLanes(token.scales + block)));
  sums = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot), scale, sums);
  if constexpr (Blocks::kHasMinimum) {
    sums = _mm512_fmadd_ps(Minima(headers),
                           _mm512_castsi512_ps(SpreadLanes(token.sums + block)),
                           sums);
  }
  return sums;
}

inline __m128 SumOfFour(__m512 sums) {
  __m128 sum = _mm512_castps512_ps128(sums);
  sum = _mm_add_ps(sum, _mm512_extractf32x4_ps(sums, 1));
  sum = _mm_add_ps(sum, _mm512_extractf32x4_ps(sums, 2));
  return _mm_add_ps(sum, _mm512_extractf32x4_ps(sums, 3));
}

// The products of four rows of `blocks` blocks with one token.
template <class Blocks>
inline __m128 FourProducts(const FourRows& rows, const QuantizedToken& token,
                           int64_t blocks) {
  __m128 total = _mm_setzero_ps();
  const int64_t whole = blocks / kGroupBlocks;
  for (int64_t g = 0; g * kGroupBlocks < blocks;) {
    __m512 sums = _mm512_setzero_ps();
    const int64_t end = std::min(g + kChunkGroups, whole);
    const bool tail = blocks % kGroupBlocks != 0 && end < g + kChunkGroups;
    for (; g < end; ++g) {
      sums = AddGroup<Blocks>(rows, token, g, kGroupBlocks, sums);
    }
    if (tail) {
      sums = AddGroup<Blocks>(rows, token, g, blocks % kGroupBlocks, sums);
      ++g;
    }
    total = _mm_add_ps(total, SumOfFour(sums));
  }
  return total;
}

template <class Blocks>
void RowsByToken(const LinearPart& part, const QuantizedTokens& tokens) {
  const WeightMatrix& weight = part.weight;
  const int64_t blocks = weight.cols / kBlockQuants;
  for (int64_t row = 0; row < part.count; row += 4) {
    const int64_t count = std::min<int64_t>(4, part.count - row);
    FourRows rows;
    for (int64_t r = 0; r < 4; ++r) {
      rows[r] = weight.row(part.first + row + std::min(r, count - 1));
    }
    const __mmask8 there = (1 << count) - 1;
    for (int64_t t = 0; t < part.output.rows; ++t) {
      _mm_mask_storeu_ps(part.output.row(t).data() + part.first + row, there,
                         FourProducts<Blocks>(rows, tokens.token(t), blocks));
    }
  }
}

}  // namespace
}  // namespace subgen::cpu
HWY_POP_ATTRIBUTES
