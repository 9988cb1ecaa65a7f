// Many tokens: 32 weight rows are laid out once, column by column, and
// multiplied with four tokens at a time in registers. Included by
// integer_linear.cc alone.
#pragma once

#include <cstring>

#include "kernels/cpu/integer_rows-inl.h"

HWY_PUSH_ATTRIBUTES(SUBGEN_VNNI_TARGET)
namespace subgen::cpu {
namespace {

inline constexpr int64_t kTileVectors = 2;
inline constexpr int64_t kTileRows = 16 * kTileVectors;

// A block of 32 rows. weights[i][v]: quants 4 i to 4 i + 3 of rows 16 v and on.
struct TileBlock {
  uint8_t weights[8][kTileVectors][64];
  float scales[kTileVectors][16];
  float minima[kTileVectors][16];
};

// A part of the columns: blocks 0 mod 4 of its groups, then 1 mod 4, ...
struct WeightTile {
  TileBlock* blocks = nullptr;
  int64_t first_group = 0;
  int64_t groups = 0;
};

// Lays out group g of 16 rows, of which `count` blocks are there.
template <class Blocks>
void PackGroup(const std::array<const std::byte*, 16>& rows, int64_t g,
               int64_t count, int64_t vector, const WeightTile& tile) {
  alignas(64) uint8_t quants[16][kGroupQuants];
  alignas(64) float scales[4][16], minima[4][16];  // [rows / 4][4 b + r]
  const int64_t offset = g * kGroupBlocks * Blocks::kBytes;
  for (int r = 0; r < 16; r += 4) {
    __m512i headers = _mm512_setzero_si512();
    for (int i = 0; i < 4; ++i) {
      const std::byte* blocks = rows[r + i] + offset;
      const WeightGroup group = Blocks::Quants(blocks, count);
      _mm512_store_si512(quants[r + i], group.first);
      _mm512_store_si512(quants[r + i] + 64, group.last);
      headers = Blocks::Headers(headers, i, blocks, count);
    }
    _mm512_store_ps(scales[r / 4], Scales(headers));
    _mm512_store_ps(minima[r / 4], Minima(headers));
  }
  const __m512i row_offsets = _mm512_slli_epi32(
      _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
      7);
  for (int64_t b = 0; b < kGroupBlocks; ++b) {
    TileBlock& block = tile.blocks[b * tile.groups + g - tile.first_group];
    for (int64_t i = 0; i < 8; ++i) {
      _mm512_storeu_si512(
          block.weights[i][vector],
          _mm512_i32gather_epi32(
              row_offsets, quants[0] + i / 4 * 64 + b * 16 + i % 4 * 4, 1));
    }
    for (int64_t r = 0; r < 16; ++r) {
      block.scales[vector][r] = scales[r / 4][4 * b + r % 4];
      block.minima[vector][r] = minima[r / 4][4 * b + r % 4];
    }
  }
}

// Rows of the weight from `row` on; behind `count` of them the last one again.
template <class Blocks>
void PackTile(const WeightMatrix& weight, int64_t row, int64_t count,
              const WeightTile& tile) {
  const int64_t blocks = weight.cols / kBlockQuants;
  for (int64_t v = 0; v < kTileVectors; ++v) {
    std::array<const std::byte*, 16> rows;
    for (int64_t r = 0; r < 16; ++r) {
      rows[r] = weight.row(row + std::min(16 * v + r, count - 1));
    }
    for (int64_t i = 0; i < tile.groups; ++i) {
      const int64_t g = tile.first_group + i;
      PackGroup<Blocks>(
          rows, g, std::min(kGroupBlocks, blocks - g * kGroupBlocks), v, tile);
    }
  }
}

template <int kTokens>
using Tokens = std::array<QuantizedToken, kTokens>;

template <int kTokens>
using Dots = __m512i[kTokens][kTileVectors];

// Adds the products with 32 quants, which lie at quants[t] + first and on.
template <int kTokens>
inline void AddDots(const TileBlock& block,
                    const std::array<const int8_t*, kTokens>& quants,
                    int64_t first, Dots<kTokens>& dots) {
#pragma GCC unroll 8
  for (int64_t i = 0; i < 8; ++i) {
    for (int t = 0; t < kTokens; ++t) {
      int32_t four;
      std::memcpy(&four, quants[t] + first + i / 4 * 64 + i % 4 * 4, 4);
      const __m512i factor = _mm512_set1_epi32(four);
      for (int v = 0; v < kTileVectors; ++v) {
        dots[t][v] = _mm512_dpbusd_epi32(
            dots[t][v], _mm512_loadu_si512(block.weights[i][v]), factor);
      }
    }
  }
}

// Adds block b of group g to the sums of kTokens tokens.
template <class Blocks, int kTokens>
inline void AddBlock(const TileBlock& block, const Tokens<kTokens>& tokens,
                     int64_t g, int64_t b, __m512 (*sums)[kTileVectors]) {
  const int64_t at = g * kGroupBlocks + b;
  const int64_t first = g * kGroupQuants + b * 16;
  Dots<kTokens> dots;
  std::array<const int8_t*, kTokens> high, low;
  for (int t = 0; t < kTokens; ++t) {
    high[t] = tokens[t].high;
    low[t] = tokens[t].low;
    for (__m512i& dot : dots[t]) dot = _mm512_setzero_si512();
  }
  AddDots<kTokens>(block, high, first, dots);
  for (int t = 0; t < kTokens; ++t) {
    for (__m512i& dot : dots[t]) {
      dot = _mm512_slli_epi32(dot, 8);
      if constexpr (Blocks::kOffset != 0) {
        dot = _mm512_sub_epi32(
            dot, _mm512_set1_epi32(Blocks::kOffset * tokens[t].counts[at]));
      }
    }
  }
  AddDots<kTokens>(block, low, first, dots);
  for (int v = 0; v < kTileVectors; ++v) {
    const __m512 scales = _mm512_loadu_ps(block.scales[v]);
    for (int t = 0; t < kTokens; ++t) {
      const __m512 scale =
          _mm512_mul_ps(scales, _mm512_set1_ps(tokens[t].scales[at]));
      sums[t][v] =
          _mm512_fmadd_ps(_mm512_cvtepi32_ps(dots[t][v]), scale, sums[t][v]);
      if constexpr (Blocks::kHasMinimum) {
        sums[t][v] =
            _mm512_fmadd_ps(_mm512_loadu_ps(block.minima[v]),
                            _mm512_set1_ps(tokens[t].sums[at]), sums[t][v]);
      }
    }
  }
}

// out[t]: where the sums of token t and the first `count` rows are added.
template <class Blocks, int kTokens>
void TileProducts(const WeightTile& tile, const Tokens<kTokens>& tokens,
                  int64_t count, const std::array<float*, kTokens>& out) {
  __m512 total[kTokens][kTileVectors];
  for (int64_t b = 0; b < kGroupBlocks; ++b) {
    __m512 sums[kTokens][kTileVectors];
    for (auto& token : sums) {
      for (__m512& sum : token) sum = _mm512_setzero_ps();
    }
    for (int64_t g = 0; g < tile.groups; ++g) {
      AddBlock<Blocks, kTokens>(tile.blocks[b * tile.groups + g], tokens,
                                tile.first_group + g, b, sums);
    }
    for (int t = 0; t < kTokens; ++t) {
      for (int v = 0; v < kTileVectors; ++v) {
        total[t][v] =
            b == 0 ? sums[t][v] : _mm512_add_ps(total[t][v], sums[t][v]);
      }
    }
  }
  for (int t = 0; t < kTokens; ++t) {
    for (int64_t v = 0; v < kTileVectors; ++v) {
      const int64_t rows = std::clamp<int64_t>(count - 16 * v, 0, 16);
      const __mmask16 there = (1u << rows) - 1;
      float* to = out[t] + 16 * v;
      _mm512_mask_storeu_ps(
          to, there,
          _mm512_add_ps(_mm512_maskz_loadu_ps(there, to), total[t][v]));
    }
  }
}

template <class Blocks, int kTokens>
void SomeTokens(const WeightTile& tile, const LinearPart& part,
                const QuantizedTokens& tokens, int64_t t, int64_t row,
                int64_t count) {
  Tokens<kTokens> some;
  std::array<float*, kTokens> out;
  for (int64_t i = 0; i < kTokens; ++i) {
    some[i] = tokens.token(t + i);
    out[i] = part.output.row(t + i).data() + part.first + row;
  }
  TileProducts<Blocks, kTokens>(tile, some, count, out);
}

template <class Blocks>
void RowsByTile(const LinearPart& part, const QuantizedTokens& tokens,
                float* scratch) {
  for (int64_t i = 0; i < part.output.rows; ++i) {
    std::fill_n(part.output.row(i).data() + part.first, part.count, 0.0f);
  }
  for (int64_t row = 0; row < part.count; row += kTileRows) {
    const int64_t count = std::min(kTileRows, part.count - row);
    for (int64_t g = 0; g < tokens.groups(); g += kChunkGroups) {
      const WeightTile tile{reinterpret_cast<TileBlock*>(scratch), g,
                            std::min(kChunkGroups, tokens.groups() - g)};
      PackTile<Blocks>(part.weight, part.first + row, count, tile);
      int64_t t = 0;
      for (; t + 4 <= part.output.rows; t += 4) {
        SomeTokens<Blocks, 4>(tile, part, tokens, t, row, count);
      }
      for (; t < part.output.rows; ++t) {
        SomeTokens<Blocks, 1>(tile, part, tokens, t, row, count);
      }
    }
  }
}

}  // namespace
}  // namespace subgen::cpu
HWY_POP_ATTRIBUTES
