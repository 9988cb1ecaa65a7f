// Integer dot products of a block of weights, a row a lane, with tokens.
// Included by integer_tile-inl.h alone.
#pragma once

#include <array>
#include <cstring>
#include <type_traits>

#include "kernels/cpu/packed_weights.h"
#include "kernels/cpu/quantized_tokens.h"

HWY_PUSH_ATTRIBUTES(SUBGEN_INTEGER_TARGET)
namespace subgen::cpu {
namespace {

using Ints = Simd::Ints;
using Floats = Simd::Floats;
constexpr int64_t kLanes = Simd::kLanes;

// Vectors of rows of neighbouring tiles.
template <class Tile>
struct RowVectors {
  // Nibbles or bytes.
  static constexpr int kBits = sizeof(Tile::quants) == 4 * 64 ? 4 : 8;

  const Tile& tile(int v, int64_t b) const {
    return tiles[v * kLanes / kTileRows * blocks + b];
  }
  // quants[i] of block b.
  inline Ints Load(int v, int64_t b, int64_t i) const {
    Ints quants;
    std::memcpy(&quants, tile(v, b).quants[i] + 4 * FirstRow(v),
                sizeof(quants));
    return quants;
  }
  static constexpr int64_t FirstRow(int v) { return v * kLanes % kTileRows; }

  const Tile* tiles = nullptr;
  int64_t blocks = 0;  // of a row
};

template <int kTokens>
using Tokens = std::array<QuantizedToken, kTokens>;

// Four bytes, those in each lane.
inline Ints Spread(const void* from) {
  int32_t four;
  std::memcpy(&four, from, sizeof(four));
  return Ints{} + four;
}

// Both kinds: numbers of a token are spread once for all vectors, columns are
// unpacked once for all tokens.

// Quants as two bytes, whose dots are kept apart; instructions that add four
// products of bytes to a lane.
template <int kVectors, int kTokens>
struct HalvesDots {
  template <class Tile>
  inline void Set(const RowVectors<Tile>& rows, const Tokens<kTokens>& tokens,
                  int64_t b) {
    for (int v = 0; v < kVectors; ++v) {
      for (int t = 0; t < kTokens; ++t) high[v][t] = low[v][t] = Ints{};
    }
#pragma GCC unroll 4
    for (int64_t i = 0; i < 4; ++i) {
      Ints columns[2][kVectors];  // 4 i to 4 i + 3 and those 16 behind
      for (int v = 0; v < kVectors; ++v) {
        const Ints quants = rows.Load(v, b, i);
        if constexpr (RowVectors<Tile>::kBits == 4) {
          columns[0][v] = quants & 0x0f0f0f0f;
          columns[1][v] = quants >> 4 & 0x0f0f0f0f;
        } else {
          columns[0][v] = quants ^ kSign;
          columns[1][v] = rows.Load(v, b, 4 + i) ^ kSign;
        }
      }
      for (int t = 0; t < kTokens; ++t) {
        const std::byte* const token =
            tokens[t].quants + b * kBlockQuantBytes + 4 * i;
        Add(columns, token, t, high);
        Add(columns, token + kBlockQuants, t, low);
      }
    }
  }
  inline Ints Dot(int v, int t) const { return (high[v][t] << 8) + low[v][t]; }

 private:
  static constexpr auto kSign =
      static_cast<int32_t>(Simd::kSigned ? 0x80808080 : 0);

  using Halves = Ints[kVectors][kTokens];
  static inline void Add(const Ints (&columns)[2][kVectors],
                         const std::byte* token, int t, Halves& dots) {
    for (int part = 0; part < 2; ++part) {
      const Ints four = Spread(token + 16 * part);
      for (int v = 0; v < kVectors; ++v) {
        dots[v][t] = Simd::AddDots(dots[v][t], columns[part][v], four);
      }
    }
  }

  Halves high, low;
};

// Quants as words; instructions that add two products of words to a lane.
// Weights are unsigned and less than 256, so a dot of 32 columns is at most
// 32 * 255 * 32,639 < 2^28.
template <int kVectors, int kTokens>
struct WordsDots {
  template <class Tile>
  inline void Set(const RowVectors<Tile>& rows, const Tokens<kTokens>& tokens,
                  int64_t b) {
    constexpr int kBits = RowVectors<Tile>::kBits;
    for (auto& vector : dots) {
      for (auto& token : vector) {
        for (Ints& dot : token) dot = Ints{};
      }
    }
#pragma GCC unroll 8
    for (int64_t i = 0; i < kBits; ++i) {
      Ints quants[kVectors];
      for (int v = 0; v < kVectors; ++v) quants[v] = rows.Load(v, b, i);
#pragma GCC unroll 4
      for (int shift = 0; shift < 16; shift += kBits) {
        // Two columns of four: the even ones lie in the low bytes of words.
        const int64_t at = 8 * (i + shift % 8) + shift / 8 * 4;
        Add<kBits>(quants, shift, tokens, b * kBlockQuantBytes + at);
      }
    }
  }
  inline Ints Dot(int v, int t) const {
    Ints dot = dots[v][t][0];
    for (int i = 1; i < kSums; ++i) dot += dots[v][t][i];
    return dot;
  }

 private:
  // One token's sums would wait for each other.
  static constexpr int kSums = kTokens == 1 ? 2 : 1;

  template <int kBits>
  inline void Add(const Ints (&quants)[kVectors], int shift,
                  const Tokens<kTokens>& tokens, int64_t at) {
    typedef uint16_t Words __attribute__((vector_size(sizeof(Ints))));
    constexpr uint16_t kMask = (1 << kBits) - 1;
    Ints columns[kVectors];
    for (int v = 0; v < kVectors; ++v) {
      columns[v] = (Ints)((Words)quants[v] >> shift & kMask);
    }
    for (int t = 0; t < kTokens; ++t) {
      const Ints two = Spread(tokens[t].quants + at);
      for (int v = 0; v < kVectors; ++v) {
        Ints& dot = dots[v][t][shift / kBits % kSums];
        dot = Simd::AddDots(dot, columns[v], two);
      }
    }
  }

  Ints dots[kVectors][kTokens][kSums];
};

template <int kVectors, int kTokens>
using BlockDots = std::conditional_t<Simd::kOrder == QuantOrder::kHalves,
                                     HalvesDots<kVectors, kTokens>,
                                     WordsDots<kVectors, kTokens>>;

}  // namespace
}  // namespace subgen::cpu
HWY_POP_ATTRIBUTES
