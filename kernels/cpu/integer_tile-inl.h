// Products of tiles of 16 weight rows, a row a lane, with tokens whose numbers
// are spread over all lanes. Included by integer_linear.cc alone, which pushes
// the target.
#pragma once

#include <immintrin.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "kernels/cpu/linear_part.h"
#include "kernels/cpu/packed_weights.h"
#include "kernels/cpu/quantized_tokens.h"

HWY_PUSH_ATTRIBUTES(SUBGEN_VNNI_TARGET)
namespace subgen::cpu {
namespace {

inline constexpr int64_t kChunkBlocks = 16;  // summed up by themselves

// Columns 4 i to 4 i + 3 of a block, and those 16 behind, as unsigned bytes:
// four of a row in each lane.
struct Columns {
  template <class Tile>
  void Load(const Tile& tile, int64_t i) {
    first = _mm512_loadu_si512(tile.quants[i]);
    if constexpr (sizeof(tile.quants) == 4 * 64) {  // nibbles
      const __m512i mask = _mm512_set1_epi8(15);
      last = _mm512_and_si512(_mm512_srli_epi16(first, 4), mask);
      first = _mm512_and_si512(first, mask);
    } else {
      last = _mm512_loadu_si512(tile.quants[4 + i]);
    }
  }
  __m512i first, last;
};

// Four of a token's quants in each lane.
inline __m512i SpreadFour(const int8_t* from) {
  int32_t four;
  std::memcpy(&four, from, 4);
  return _mm512_set1_epi32(four);
}

// The first blocks of kTiles neighbouring tiles.
template <class Tile>
struct Tiles {
  const Tile* data = nullptr;
  int64_t blocks = 0;  // of a row
};

template <int kTokens>
using Tokens = std::array<QuantizedToken, kTokens>;

// Dots of block b, a row a lane: high and low halves of quants apart.
template <int kTiles, int kTokens>
struct BlockDots {
  // Numbers of a token are spread once for all tiles, columns are unpacked once
  // for all tokens.
  template <class Tile>
  inline void Set(const Tiles<Tile>& tiles, const Tokens<kTokens>& tokens,
                  int64_t b) {
    for (int v = 0; v < kTiles; ++v) {
      for (int t = 0; t < kTokens; ++t) {
        high[v][t] = low[v][t] = _mm512_setzero_si512();
      }
    }
#pragma GCC unroll 4
    for (int64_t i = 0; i < 4; ++i) {
      Columns columns[kTiles];
      for (int v = 0; v < kTiles; ++v) {
        columns[v].Load(tiles.data[v * tiles.blocks + b], i);
      }
      const int64_t at = b * kBlockQuants + 4 * i;
      for (int t = 0; t < kTokens; ++t) {
        Add(columns, tokens[t].high + at, t, high);
        Add(columns, tokens[t].low + at, t, low);
      }
    }
  }
  __m512i Dot(int v, int t) const {
    return _mm512_add_epi32(_mm512_slli_epi32(high[v][t], 8), low[v][t]);
  }

 private:
  using Halves = __m512i[kTiles][kTokens];
  static inline void Add(const Columns (&columns)[kTiles], const int8_t* quants,
                         int t, Halves& dots) {
    const __m512i first = SpreadFour(quants), last = SpreadFour(quants + 16);
    for (int v = 0; v < kTiles; ++v) {
      dots[v][t] = _mm512_dpbusd_epi32(dots[v][t], columns[v].first, first);
      dots[v][t] = _mm512_dpbusd_epi32(dots[v][t], columns[v].last, last);
    }
  }

  Halves high, low;
};

// What was added to quants that have no minimum.
template <class Tile>
inline constexpr int kOffset = 0;
template <>
inline constexpr int kOffset<TileQ4_0> = 8;
template <>
inline constexpr int kOffset<TileQ8_0> = 128;

inline __m512 FromHalves(const uint16_t* numbers) {
  return _mm512_cvtph_ps(
      _mm256_loadu_si256(reinterpret_cast<const __m256i*>(numbers)));
}

// sum + the product of block b, of which the dots of quants are given.
template <class Tile>
inline __m512 AddScaled(const Tile& tile, const QuantizedToken& token,
                        int64_t b, __m512i dot, __m512 sum) {
  if constexpr (kOffset<Tile> != 0) {
    dot = _mm512_sub_epi32(dot,
                           _mm512_set1_epi32(kOffset<Tile> * token.counts[b]));
  }
  const __m512 scale =
      _mm512_mul_ps(FromHalves(tile.scales), _mm512_set1_ps(token.scales[b]));
  sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot), scale, sum);
  if constexpr (kOffset<Tile> == 0) {
    sum = _mm512_fmadd_ps(FromHalves(tile.minima),
                          _mm512_set1_ps(token.sums[b]), sum);
  }
  return sum;
}

// total[v][t] = the rows of tile v times token t.
template <class Tile, int kTiles, int kTokens>
inline void Products(const Tiles<Tile>& tiles, const Tokens<kTokens>& tokens,
                     __m512 (&total)[kTiles][kTokens]) {
  for (auto& tile : total) {
    for (__m512& sum : tile) sum = _mm512_setzero_ps();
  }
  for (int64_t b = 0; b < tiles.blocks;) {
    const int64_t end = std::min(b + kChunkBlocks, tiles.blocks);
    __m512 sums[kTiles][kTokens];
    for (auto& tile : sums) {
      for (__m512& sum : tile) sum = _mm512_setzero_ps();
    }
    for (; b < end; ++b) {
      BlockDots<kTiles, kTokens> dots;
      dots.Set(tiles, tokens, b);
      for (int v = 0; v < kTiles; ++v) {
        const Tile& tile = tiles.data[v * tiles.blocks + b];
        for (int t = 0; t < kTokens; ++t) {
          sums[v][t] =
              AddScaled(tile, tokens[t], b, dots.Dot(v, t), sums[v][t]);
        }
      }
    }
    for (int v = 0; v < kTiles; ++v) {
      for (int t = 0; t < kTokens; ++t) {
        total[v][t] = _mm512_add_ps(total[v][t], sums[v][t]);
      }
    }
  }
}

// Tokens [first, first + kTokens) times the part's rows, which are kTiles
// tiles, the last one perhaps not whole.
template <class Tile, int kTiles, int kTokens>
inline void SomeTokens(const Tiles<Tile>& tiles, const QuantizedTokens& tokens,
                       int64_t first, const LinearPart& part) {
  Tokens<kTokens> some;
  for (int64_t t = 0; t < kTokens; ++t) some[t] = tokens.token(first + t);
  __m512 products[kTiles][kTokens];
  Products<Tile, kTiles, kTokens>(tiles, some, products);
  for (int64_t t = 0; t < kTokens; ++t) {
    float* const out = part.output.row(first + t).data() + part.first;
    for (int64_t v = 0; v < kTiles; ++v) {
      const int64_t count = std::min(kTileRows, part.count - v * kTileRows);
      const __mmask16 there = (1u << count) - 1;
      _mm512_mask_storeu_ps(out + v * kTileRows, there, products[v][t]);
    }
  }
}

template <class Tile, int kTiles>
void MultiplyTiles(const std::byte* data, const QuantizedTokens& tokens,
                   const LinearPart& part) {
  const Tiles<Tile> tiles = {reinterpret_cast<const Tile*>(data),
                             part.input.cols / kBlockQuants};
  int64_t t = 0;
  for (; t + 4 <= part.input.rows; t += 4) {
    SomeTokens<Tile, kTiles, 4>(tiles, tokens, t, part);
  }
  for (; t < part.input.rows; ++t) {
    SomeTokens<Tile, kTiles, 1>(tiles, tokens, t, part);
  }
}

}  // namespace
}  // namespace subgen::cpu
HWY_POP_ATTRIBUTES
