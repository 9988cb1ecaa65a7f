// Multiplies tiles of 16-bit floats by tokens in float32. Only
// tile_products-inl.h includes this file.
#pragma once

#include <algorithm>

#include "kernels/cpu/tiles/tile_columns-inl.h"

HWY_PUSH_ATTRIBUTES(SUBGEN_TILE_TARGET)
namespace subgen::cpu {
namespace {

constexpr int64_t kChunkColumns = TileSet::kChunkColumns;
// So many vectors of sums are in registers: two thirds of 16 registers of 256
// bits, three quarters of 32.
constexpr int64_t kFloatVectors = kLanes == 8 ? 2 : 4;
constexpr int64_t kFloatTiles = kFloatVectors / kTileVectors;
constexpr int64_t kFloatTokens = 6;
static_assert(kWideTiles % kFloatTiles == 0);

// Stores the rows of a vector as float32: all, or as many as there are; added
// to what is there, or not.
inline void StoreRows(const Floats& numbers, int64_t count, bool add,
                      float* out) {
  if (count >= kLanes) {
    const Floats sum = add ? Load<Floats>(out) + numbers : numbers;
    std::memcpy(out, &sum, sizeof(sum));
  } else {
    for (int64_t i = 0; i < count; ++i) {
      out[i] = add ? out[i] + numbers[i] : numbers[i];
    }
  }
}

template <class Tile>
inline Floats Widen(const uint16_t* numbers) {
  if constexpr (Tile::kFormat == BlockFormat::kF16) {
    return Simd::FromHalves(numbers);
  } else {
    return (Floats)(Simd::Widen(numbers) << 16);
  }
}

// Reads tiles as they are packed; a row has `tiles_of_row` of them.
template <class Tile>
struct PackedFloats {
  inline Floats Column(int64_t v, int64_t column) const {
    const auto* const numbers = reinterpret_cast<const uint16_t*>(
        tiles + v / kTileVectors * tiles_of_row);
    return Widen<Tile>(numbers + column * kTileRows +
                       v % kTileVectors * kLanes);
  }
  const Tile* tiles = nullptr;
  int64_t tiles_of_row = 0;
};

// Reads widened tiles, [tile][kChunkColumns][kTileRows].
struct WideFloats {
  inline Floats Column(int64_t v, int64_t column) const {
    return Load<Floats>(
        data + (v / kTileVectors * kChunkColumns + column) * kTileRows +
        v % kTileVectors * kLanes);
  }
  const float* data = nullptr;
};

// Multiplies `count` columns of rows, those of the input from `column` on, by
// kTokens tokens from `first` on.
template <int kVectors, int kTokens, class Rows>
inline void MultiplyColumns(const Rows& rows, const LinearPart& part,
                            int64_t first, int64_t column, int64_t count) {
  const float* tokens[kTokens];
  for (int t = 0; t < kTokens; ++t) {
    tokens[t] = part.input.row(first + t).data() + column;
  }
  Floats sums[kVectors][kTokens] = {};
  for (int64_t c = 0; c < count; ++c) {
    Floats weights[kVectors];
    for (int v = 0; v < kVectors; ++v) weights[v] = rows.Column(v, c);
    for (int t = 0; t < kTokens; ++t) {
      const Floats number = Floats{} + tokens[t][c];
      for (int v = 0; v < kVectors; ++v) {
        sums[v][t] = Simd::MultiplyAdd(weights[v], number, sums[v][t]);
      }
    }
  }
  for (int t = 0; t < kTokens; ++t) {
    float* const out = part.output.row(first + t).data() + part.first;
    for (int v = 0; v < kVectors; ++v) {
      StoreRows(sums[v][t], part.count - v * kLanes, column > 0,
                out + v * kLanes);
    }
  }
}

// Multiplies tiles as they are, for few tokens. As many tiles are taken at a
// time as give enough chains of additions not to wait for one another.
template <int kTiles, class Tile>
void MultiplyFewFloats(const Tile* tiles, const LinearPart& part) {
  const int64_t cols = part.input.cols;
  for (int64_t t = 0; t < part.input.rows; ++t) {
    for (int64_t column = 0; column < cols; column += kChunkColumns) {
      const PackedFloats<Tile> rows = {tiles + column / kBlockCols,
                                       cols / kBlockCols};
      MultiplyColumns<kTiles * kTileVectors, 1>(
          rows, part, t, column, std::min(kChunkColumns, cols - column));
    }
  }
}

template <class Tile>
void WidenChunk(const PackedFloats<Tile>& rows, int64_t tiles, int64_t count,
                float* to) {
  for (int64_t tile = 0; tile < tiles; ++tile) {
    for (int64_t c = 0; c < count; ++c) {
      for (int64_t v = 0; v < kTileVectors; ++v, to += kLanes) {
        const Floats wide = rows.Column(tile * kTileVectors + v, c);
        std::memcpy(to, &wide, sizeof(wide));
      }
    }
    to += (kChunkColumns - count) * kTileRows;
  }
}

template <int kTiles>
void MultiplyWideFloats(const WideFloats& rows, const LinearPart& part,
                        int64_t column, int64_t count) {
  constexpr int kVectors = kTiles * kTileVectors;
  ForTokenGroups<kFloatTokens>(part.input.rows, [&]<int kTokens>(int64_t t) {
    MultiplyColumns<kVectors, kTokens>(rows, part, t, column, count);
  });
}

template <class Tile>
void MultiplyManyFloats(const Tile* tiles, const LinearPart& part,
                        float* wide) {
  const int64_t cols = part.input.cols;
  const int64_t count_of_tiles = (part.count + kTileRows - 1) / kTileRows;
  for (int64_t column = 0; column < cols; column += kChunkColumns) {
    const int64_t count = std::min(kChunkColumns, cols - column);
    const PackedFloats<Tile> rows = {tiles + column / kBlockCols,
                                     cols / kBlockCols};
    WidenChunk(rows, count_of_tiles, count, wide);
    LinearPart some = part;
    for (int64_t tile = 0; tile < count_of_tiles;) {
      const int64_t left = part.first + part.count - some.first;
      const bool whole = left > (kFloatTiles - 1) * kTileRows;
      const int64_t taken = whole ? kFloatTiles : 1;
      some.count = std::min(left, taken * kTileRows);
      const WideFloats floats = {wide + tile * kChunkColumns * kTileRows};
      whole ? MultiplyWideFloats<kFloatTiles>(floats, some, column, count)
            : MultiplyWideFloats<1>(floats, some, column, count);
      some.first += some.count;
      tile += taken;
    }
  }
}

// Multiplies at most kWideTiles tiles.
template <class Tile>
void MultiplyFloats(const Tile* tiles, const LinearPart& part, float* scratch) {
  if (part.input.rows >= TileSet::kManyForFloats) {
    return MultiplyManyFloats(tiles, part, scratch);
  }
  if (part.count > (kWideTiles - 1) * kTileRows) {
    return MultiplyFewFloats<kWideTiles>(tiles, part);
  }
  LinearPart some = part;
  for (int64_t left = part.count; left > 0; left -= some.count) {
    some.count = std::min(left, kTileRows);
    MultiplyFewFloats<1>(tiles, some);
    some.first += some.count;
    tiles += part.input.cols / kBlockCols;
  }
}

}  // namespace
}  // namespace subgen::cpu
HWY_POP_ATTRIBUTES
