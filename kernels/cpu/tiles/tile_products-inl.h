// Multiplies tiles of 16 weight rows, one row per lane, by tokens whose numbers
// are spread over all lanes. Included by one file per instruction set, after
// SUBGEN_TILE_TARGET and Simd, its operations:
//   kLanes, kOrder, Ints and Floats: vectors of int32 and float32
//   AddDots(sums, columns, quants): to each lane four products of a byte with a
//     signed one (kHalves), or two of words (kWords)
//   kSigned: whether the former byte is signed too
//   Iq4Values(places): kIq4Values of bytes, plus 128 where bytes are unsigned
//   Widen(numbers): bytes, signed or not, or words to int32
//   FromHalves(numbers): f16 to float32
//   MultiplyAdd(x, y, z): x y + z, rounded once
#pragma once

#include <algorithm>

#include "kernels/cpu/tiles/tile_dots-inl.h"
#include "kernels/cpu/tiles/tile_floats-inl.h"

HWY_PUSH_ATTRIBUTES(SUBGEN_TILE_TARGET)
namespace subgen::cpu {
namespace {

constexpr int64_t kChunkBlocks = TileSet::kChunkBlocks;
// With many tokens, two vectors or a tile are multiplied by as many tokens as
// fit in registers.
constexpr int64_t kManyTiles = std::max<int64_t>(2 / kTileVectors, 1);
constexpr int64_t kManyTokens = 8 / (kManyTiles * kTileVectors);
static_assert(kWideTiles % kManyTiles == 0);
// With few tokens, a tile is multiplied by so many of them in registers.
constexpr int64_t kFewTokens = 8 / kTileVectors;
// From so many tokens on, tiles are widened first: unpacking then costs less
// than it saves.
constexpr int64_t kWorthWidening = 12;

// So many bytes are prefetched before they are read: what comes from memory in
// the time that they take to be multiplied. Processors prefetch by themselves
// only within a page of 4 KiB. Nearer than this is slower, further is as good
// (MEASURED.md).
constexpr int64_t kAhead = 8192;
constexpr int kSecondLevel = 2;  // of __builtin_prefetch

// These are rows of one tile as they are packed, unpacked block by block as
// they are multiplied: for few tokens.
template <class Tile>
struct PackedRows {
  static constexpr int kScalesOfBlock = Tile::kScalesOfBlock;
  static constexpr bool kMinima = TileScales<Tile>::kMinima;
  static constexpr int kOffset = kOffsetOf<Tile>;

  // Goes on to the next tile.
  inline void Enter(const Tile* next) {
    const auto* const ahead = reinterpret_cast<const std::byte*>(next) + kAhead;
    for (size_t line = 0; line < sizeof(Tile); line += 64) {
      __builtin_prefetch(ahead + line, 0, kSecondLevel);
    }
    tile = next;
    scales.Read(*next);
  }
  inline Ints Step(int v, int64_t b, int step) const {
    return StepOf(Columns(*tile, b, v * kLanes, step / kStepsOfGroup), step);
  }
  inline Floats Scale(int v, int64_t b, int half) const {
    return scales.scales[v][b * kScalesOfBlock + half];
  }
  inline Floats Minimum(int v, int64_t b) const { return scales.minima[v][b]; }

  const Tile* tile = nullptr;
  TileScales<Tile> scales;
};

// This is a chunk of a tile's columns, unpacked: for many tokens.
struct WideTile {
  uint8_t quants[kChunkBlocks][kSteps][64];
  float scales[kChunkBlocks][2][kTileRows];
  float minima[kChunkBlocks][kTileRows];

  template <class Tile>
  void Set(const Tile* tiles, int64_t count);
};
static_assert(sizeof(WideTile) <=
              kChunkBlocks * kTileRows * (2 * kBlockCols + 12));

template <class Tile>
void WideTile::Set(const Tile* tiles, int64_t count) {
  PackedRows<Tile> rows;
  for (int64_t i = 0; i < count; ++i) {
    rows.Enter(tiles + i);
    for (int64_t b = 0; b < Tile::kBlocks; ++b) {
      const int64_t to = i * Tile::kBlocks + b;
      for (int v = 0; v < kTileVectors; ++v) {
#pragma GCC unroll 16
        for (int n = 0; n < kSteps; ++n) {
          const int step = StepAt<1>(0, n);
          const Ints columns = rows.Step(v, b, step);
          std::memcpy(quants[to][step] + 4 * v * kLanes, &columns,
                      sizeof(columns));
        }
        for (int half = 0; half < Tile::kScalesOfBlock; ++half) {
          const Floats scale = rows.Scale(v, b, half);
          std::memcpy(scales[to][half] + v * kLanes, &scale, sizeof(scale));
        }
        if constexpr (PackedRows<Tile>::kMinima) {
          const Floats minimum = rows.Minimum(v, b);
          std::memcpy(minima[to] + v * kLanes, &minimum, sizeof(minimum));
        }
      }
    }
  }
}

// These are rows of neighboring wide tiles.
template <int kScales, bool kHasMinima, int kOffsetOfQuants>
struct WideRows {
  static constexpr int kScalesOfBlock = kScales;
  static constexpr bool kMinima = kHasMinima;
  static constexpr int kOffset = kOffsetOfQuants;

  inline Ints Step(int v, int64_t b, int step) const {
    return Load<Ints>(tile(v).quants[b][step] + 4 * FirstRow(v));
  }
  inline Floats Scale(int v, int64_t b, int half) const {
    return Load<Floats>(tile(v).scales[b][half] + FirstRow(v));
  }
  inline Floats Minimum(int v, int64_t b) const {
    return Load<Floats>(tile(v).minima[b] + FirstRow(v));
  }

  const WideTile& tile(int v) const { return tiles[v * kLanes / kTileRows]; }
  static constexpr int64_t FirstRow(int v) { return v * kLanes % kTileRows; }

  const WideTile* tiles = nullptr;
};
// The type is the same for all formats that differ in their layouts alone, so
// that the compiler makes fewer products.
template <class Tile>
using WideRowsOf =
    WideRows<Tile::kScalesOfBlock, TileScales<Tile>::kMinima, kOffsetOf<Tile>>;

template <int kVectors, int kTokens>
struct Sums {
  Floats at[kVectors][kTokens] = {};

  inline void Add(const Sums& other) {
    for (int v = 0; v < kVectors; ++v) {
      for (int t = 0; t < kTokens; ++t) at[v][t] += other.at[v][t];
    }
  }
};

// Adds to sums[v][t] block b of vector v of rows times block `column` of token
// t, or one half of both. The dot is an exact integer; the offset of quants is
// taken off it as an integer too, so that only the scaling rounds.
template <int kHalf, int kVectors, int kTokens, class Rows>
inline void AddPart(const Rows& rows, const Tokens<kTokens>& tokens, int64_t b,
                    int64_t column, Sums<kVectors, kTokens>& sums) {
  BlockDots<kVectors, kTokens> dots;
  dots.template Set<kHalf>(rows, tokens, b, column);
  for (int v = 0; v < kVectors; ++v) {
    const Floats scale = rows.Scale(v, b, kHalf);
    for (int t = 0; t < kTokens; ++t) {
      const QuantizedToken& token = tokens[t];
      const int32_t* const count = Rows::kScalesOfBlock == 2
                                       ? token.half_counts[column] + kHalf
                                       : token.counts + column;
      const Ints dot = dots.Dot(v, t) - Spread(count) * Rows::kOffset;
      sums.at[v][t] =
          Simd::MultiplyAdd(__builtin_convertvector(dot, Floats),
                            scale * token.scales[column], sums.at[v][t]);
    }
  }
}

template <int kVectors, int kTokens, class Rows>
inline void AddBlock(const Rows& rows, const Tokens<kTokens>& tokens, int64_t b,
                     int64_t column, Sums<kVectors, kTokens>& sums) {
  AddPart<0, kVectors, kTokens>(rows, tokens, b, column, sums);
  if constexpr (Rows::kScalesOfBlock == 2) {
    AddPart<1, kVectors, kTokens>(rows, tokens, b, column, sums);
  }
  if constexpr (Rows::kMinima) {
    for (int v = 0; v < kVectors; ++v) {
      const Floats minimum = rows.Minimum(v, b);
      for (int t = 0; t < kTokens; ++t) {
        sums.at[v][t] = Simd::MultiplyAdd(
            minimum, Floats{} + tokens[t].sums[column], sums.at[v][t]);
      }
    }
  }
}

template <int kTokens>
inline Tokens<kTokens> TokensFrom(const QuantizedTokens& tokens,
                                  int64_t first) {
  Tokens<kTokens> some;
  for (int64_t t = 0; t < kTokens; ++t) some[t] = tokens.token(first + t);
  return some;
}

// Stores rows [first, first + count) of the output for tokens from `token` on;
// they are set, or added to what a chunk before has left there.
template <int kVectors, int kTokens>
inline void Store(const Sums<kVectors, kTokens>& sums, int64_t token,
                  const LinearPart& part, bool add) {
  for (int t = 0; t < kTokens; ++t) {
    float* const out = part.output.row(token + t).data() + part.first;
    for (int v = 0; v < kVectors; ++v) {
      StoreRows(sums.at[v][t], part.count - v * kLanes, add, out + v * kLanes);
    }
  }
}

// Multiplies a tile by few tokens, in one pass over its columns. Sums are taken
// chunk by chunk, although one sum would do, because the order must be that of
// the widened tiles: a token has the same bits in every batch.
template <int kTokens, class Tile>
inline void MultiplyTile(const Tile* tiles, const QuantizedTokens& tokens,
                         int64_t first, const LinearPart& part) {
  constexpr int kVectors = kTileVectors;
  const auto some = TokensFrom<kTokens>(tokens, first);
  const int64_t blocks = part.input.cols / kBlockCols;
  PackedRows<Tile> rows;
  Sums<kVectors, kTokens> total;
  for (int64_t column = 0; column < blocks;) {
    Sums<kVectors, kTokens> sums;
    const int64_t end = std::min(column + kChunkBlocks, blocks);
    while (column < end) {
      rows.Enter(tiles++);
      for (int64_t b = 0; b < Tile::kBlocks; ++b, ++column) {
        AddBlock<kVectors, kTokens>(rows, some, b, column, sums);
      }
    }
    total.Add(sums);
  }
  Store(total, first, part, false);
}

// Multiplies blocks [column, column + blocks) of wide tiles by kTokens tokens.
template <int kVectors, int kTokens, class Rows>
inline void MultiplyWide(const Rows& rows, const QuantizedTokens& tokens,
                         int64_t first, const LinearPart& part,
                         int64_t column) {
  const auto some = TokensFrom<kTokens>(tokens, first);
  const int64_t blocks =
      std::min(part.input.cols / kBlockCols - column, int64_t{kChunkBlocks});
  Sums<kVectors, kTokens> sums;
  for (int64_t b = 0; b < blocks; ++b) {
    AddBlock<kVectors, kTokens>(rows, some, b, column + b, sums);
  }
  Store(sums, first, part, column > 0);
}

// Multiplies `rows` of kTiles tiles by all tokens.
template <int kTiles, class Rows>
void MultiplyWideTiles(const Rows& rows, const QuantizedTokens& tokens,
                       const LinearPart& part, int64_t column) {
  constexpr int kVectors = kTiles * kTileVectors;
  ForTokenGroups<kManyTokens>(part.input.rows, [&]<int kTokens>(int64_t t) {
    MultiplyWide<kVectors, kTokens>(rows, tokens, t, part, column);
  });
}

// Multiplies the part's rows, those of at most kWideTiles wide tiles, by all
// tokens.
template <class Rows>
void MultiplyChunk(const WideTile* wide, const QuantizedTokens& tokens,
                   const LinearPart& part, int64_t column) {
  LinearPart some = part;
  for (int64_t left = part.count; left > 0; left -= some.count) {
    const Rows rows = {wide};
    const bool pair = left > kTileRows;
    some.count = std::min(left, (pair ? kManyTiles : 1) * kTileRows);
    pair ? MultiplyWideTiles<kManyTiles>(rows, tokens, some, column)
         : MultiplyWideTiles<1>(rows, tokens, some, column);
    some.first += some.count;
    wide += kManyTiles;
  }
}

// Multiplies the part's tiles, `tiles_of_row` each from `tiles` on, chunk by
// chunk: the widened chunk stays in a cache while all tokens use it.
template <class Tile>
void MultiplyMany(const Tile* tiles, const QuantizedTokens& tokens,
                  const LinearPart& part, WideTile* wide) {
  constexpr int64_t kTilesOfChunk = kChunkBlocks / Tile::kBlocks;
  const int64_t tiles_of_row = part.input.cols / kBlockCols / Tile::kBlocks;
  for (int64_t at = 0; at < tiles_of_row; at += kTilesOfChunk) {
    const int64_t count = std::min(kTilesOfChunk, tiles_of_row - at);
    for (int64_t i = 0; i * kTileRows < part.count; ++i) {
      wide[i].Set(tiles + i * tiles_of_row + at, count);
    }
    MultiplyChunk<WideRowsOf<Tile>>(wide, tokens, part, at * Tile::kBlocks);
  }
}

template <class Tile>
void MultiplyFew(const Tile* tiles, const QuantizedTokens& tokens,
                 const LinearPart& part) {
  const int64_t tiles_of_row = part.input.cols / kBlockCols / Tile::kBlocks;
  LinearPart some = part;
  for (int64_t left = part.count; left > 0; left -= some.count) {
    some.count = std::min(left, kTileRows);
    ForTokenGroups<kFewTokens>(part.input.rows, [&]<int kTokens>(int64_t t) {
      MultiplyTile<kTokens>(tiles, tokens, t, some);
    });
    some.first += some.count;
    tiles += tiles_of_row;
  }
}

// Multiplies at most kWideTiles tiles.
template <class Tile>
void MultiplyGroup(const std::byte* data, const QuantizedTokens& tokens,
                   const LinearPart& part, std::byte* scratch) {
  const auto* const tiles = reinterpret_cast<const Tile*>(data);
  if constexpr (kIsFloatTile<Tile>) {
    MultiplyFloats(tiles, part, reinterpret_cast<float*>(scratch));
  } else if (part.input.rows < kWorthWidening) {
    MultiplyFew(tiles, tokens, part);
  } else {
    MultiplyMany(tiles, tokens, part, reinterpret_cast<WideTile*>(scratch));
  }
}

template <class Tile>
void MultiplyRowsOf(const LinearPart& part, const QuantizedTokens& tokens,
                    std::byte* scratch) {
  const int64_t tile_bytes = TileBytes(*part.weight);
  LinearPart group = part;
  for (int64_t left = part.count; left > 0; left -= group.count) {
    const int64_t tile = group.first / kTileRows;
    group.count = std::min(left, kWideTiles * kTileRows);
    const std::byte* data = scratch;
    std::byte* memory = scratch;
    if (part.tiles != nullptr) {
      data = part.tiles + tile * tile_bytes;
    } else {
      for (int64_t i = 0; i * kTileRows < group.count; ++i) {
        PackTile(*part.weight, tile + i, scratch + i * tile_bytes);
      }
      memory += kWideTiles * tile_bytes;
    }
    MultiplyGroup<Tile>(data, tokens, group, memory);
    group.first += group.count;
  }
}

void MultiplyRows(const LinearPart& part, const QuantizedTokens& tokens,
                  std::byte* scratch) {
  AllTiles::With(part.weight->format, [&]<class Tile>() {
    MultiplyRowsOf<Tile>(part, tokens, scratch);
  });
}

}  // namespace
}  // namespace subgen::cpu
HWY_POP_ATTRIBUTES
