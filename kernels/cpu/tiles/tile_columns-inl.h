// Reads tiles of integers as vectors, one row per lane: columns as bytes,
// scales and minima as floats. Only tile_products-inl.h includes this file.
#pragma once

#include <cstring>

#include "kernels/cpu/tiles/tile_set.h"
#include "kernels/cpu/tiles/tiles.h"

HWY_PUSH_ATTRIBUTES(SUBGEN_TILE_TARGET)
namespace subgen::cpu {
namespace {

using Ints = Simd::Ints;
using Floats = Simd::Floats;
constexpr int64_t kLanes = Simd::kLanes;
constexpr int64_t kTileVectors = kTileRows / kLanes;

template <class Vector>
inline Vector Load(const void* from) {
  Vector vector;
  std::memcpy(&vector, from, sizeof(vector));
  return vector;
}

// Returns four bytes, the same in each lane.
inline Ints Spread(const void* from) { return Ints{} + Load<int32_t>(from); }

// Calls run.template operator()<n>(first) for tokens [first, first + n): first
// for as many groups of kMost as there are, then for two, then for one.
template <int64_t kMost, class Run>
inline void ForTokenGroups(int64_t tokens, Run run) {
  int64_t t = 0;
  for (; t + kMost <= tokens; t += kMost) run.template operator()<kMost>(t);
  for (; t + 2 <= tokens; t += 2) run.template operator()<2>(t);
  if (t < tokens) run.template operator()<1>(t);
}

// This is subtracted from quants as Columns gives them. An instruction set with
// signed bytes takes those of 8 bits as they are.
template <class Tile>
constexpr int kOffsetOf =
    Simd::kSigned&& Tile::kOffset == 128 ? 0 : Tile::kOffset;

// Returns columns 4 g to 4 g + 3 of block b for kLanes rows from `row` on.
template <class Tile>
inline Ints Columns(const Tile& tile, int64_t b, int64_t row, int g) {
  constexpr bool kNibbles = sizeof(Tile::quants[0]) == 4 * 64;
  Ints quants = Load<Ints>(tile.quants[b][kNibbles ? g % 4 : g] + 4 * row);
  if constexpr (kNibbles) {
    quants = (g < 4 ? quants : quants >> 4) & 0x0f0f0f0f;
  } else if constexpr (Simd::kSigned) {
    quants ^= static_cast<int32_t>(0x80808080);
  }
  if constexpr (requires { tile.fifths; }) {
    const auto bits = Load<Ints>(tile.fifths[b] + row);
    quants |= (g < 4 ? bits << (4 - g) : bits >> (g - 4)) & 0x10101010;
  }
  if constexpr (requires { tile.uppers; }) {
    const auto bits = Load<Ints>(tile.uppers[b][g / 4] + row);
    const int shift = 4 - 2 * (g % 4);
    quants |= (shift >= 0 ? bits << shift : bits >> -shift) & 0x30303030;
  }
  if constexpr (Tile::kTable) quants = Simd::Iq4Values(quants);
  return quants;
}

// Expands numbers of 6 bits; tiles.h says which bits are where.
inline void ExpandSixBits(const SixBits& bits, uint8_t (&out)[8][kTileRows]) {
  typedef uint16_t Words __attribute__((vector_size(2 * kTileRows)));
  const auto high = Load<Words>(bits.high);
  for (int pair = 0; pair < 4; ++pair) {
    const auto low = Load<Words>(bits.low[2 * pair % 4]);
    const Words numbers =
        (low >> (pair < 2 ? 0 : 4) & 0x0f0f) | (high >> 2 * pair & 0x0303) << 4;
    std::memcpy(out[2 * pair], &numbers, sizeof(numbers));
  }
}

// Holds the scales of a tile's blocks, in its vectors.
template <class Tile>
struct TileScales {
  static constexpr int kScales = Tile::kBlocks * Tile::kScalesOfBlock;
  static constexpr bool kMinima = requires(Tile tile) { tile.minima; };

  inline void Read(const Tile& tile) {
    if constexpr (requires { tile.sub_scales.low; }) {
      uint8_t subs[8][kTileRows];
      ExpandSixBits(tile.sub_scales, subs);
      ReadSubScales(tile, subs);
    } else if constexpr (requires { tile.sub_scales; }) {
      ReadSubScales(tile, tile.sub_scales);
    } else {
      for (int v = 0; v < kTileVectors; ++v) {
        scales[v][0] = Simd::FromHalves(tile.scales + v * kLanes);
      }
    }
    if constexpr (requires { tile.sub_minima; }) {
      ReadSubMinima(tile);
    } else if constexpr (kMinima) {
      for (int v = 0; v < kTileVectors; ++v) {
        minima[v][0] = Simd::FromHalves(tile.minima + v * kLanes);
      }
    }
  }

  Floats scales[kTileVectors][kScales];
  Floats minima[kTileVectors][kMinima ? Tile::kBlocks : 1];

 private:
  template <class Byte>
  inline void ReadSubScales(const Tile& tile,
                            const Byte (&subs)[kScales][kTileRows]) {
    for (int v = 0; v < kTileVectors; ++v) {
      const Floats whole = Simd::FromHalves(tile.scales + v * kLanes);
      for (int s = 0; s < kScales; ++s) {
        Ints sub = Simd::Widen(subs[s] + v * kLanes);
        if constexpr (requires { Tile::kSubScaleOffset; }) {
          sub -= Tile::kSubScaleOffset;
        }
        scales[v][s] = whole * __builtin_convertvector(sub, Floats);
      }
    }
  }
  inline void ReadSubMinima(const Tile& tile) {
    uint8_t subs[8][kTileRows];
    ExpandSixBits(tile.sub_minima, subs);
    for (int v = 0; v < kTileVectors; ++v) {
      const Floats whole = -Simd::FromHalves(tile.minima + v * kLanes);
      for (int s = 0; s < 8; ++s) {
        minima[v][s] = whole * __builtin_convertvector(
                                   Simd::Widen(subs[s] + v * kLanes), Floats);
      }
    }
  }
};

}  // namespace
}  // namespace subgen::cpu
HWY_POP_ATTRIBUTES
