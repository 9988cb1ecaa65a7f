// Weights are laid out for products in tiles of 16 rows, one row per lane. A
// tile of a quantized format is a block of the file of each of its rows, as
// many bytes as in the file; one of 16-bit floats is 32 columns. A member that
// several formats have means the same in all of them, so whoever reads tiles
// asks for members and constants, never for a format.
#pragma once

#include <cstdint>

#include "kernels/quant/block_format.h"

namespace subgen::cpu {

inline constexpr int64_t kTileRows = 16;
inline constexpr int64_t kBlockCols = 32;  // a block's, here

// There are eight numbers of 6 bits for each row. Number s is
//   low[s % 4] >> 4 (s / 4) & 15 | (high[s % 2] >> 2 (s / 2) & 3) << 4
struct SixBits {
  uint8_t low[4][kTileRows];
  uint8_t high[2][kTileRows];
};

// Tiles of integers have this in common. A weight is
//   scale (quant - kOffset) + minimum
// with a scale for each kScaleCols columns.
template <BlockFormat format, int blocks>
struct IntegerTile {
  static constexpr BlockFormat kFormat = format;
  static constexpr int kBlocks = blocks;    // of 32 columns
  static constexpr int kScalesOfBlock = 1;  // or one for each half
  static constexpr int kOffset = 0;
  static constexpr bool kTable = false;  // quants are places in kIq4Values
};

// Members of tiles, by the bits of quants that they hold.
//
// quants[block][i][4 r + j], of row r:
//   [4]: the low half is of column 4 i + j, the high one of 16 + 4 i + j
//   [8]: of column 4 i + j, plus 128
// fifths[block][r]: bit g of byte j is the fifth bit of column 4 g + j
// uppers[block][h][r]: bits 2 g and 2 g + 1 of byte j are the fifth and sixth
//   of column 16 h + 4 g + j
// scales, minima: f16, as in the file. With sub_scales (sub_minima) they are of
//   the whole block of the file, multiplied (minima: and subtracted).
struct TileQ4_0 : IntegerTile<BlockFormat::kQ4_0, 1> {
  static constexpr int kOffset = 8;
  uint16_t scales[kTileRows];
  uint8_t quants[1][4][64];
};
struct TileQ4_1 : IntegerTile<BlockFormat::kQ4_1, 1> {
  uint16_t scales[kTileRows];
  uint16_t minima[kTileRows];
  uint8_t quants[1][4][64];
};
struct TileQ5_0 : IntegerTile<BlockFormat::kQ5_0, 1> {
  static constexpr int kOffset = 16;
  uint16_t scales[kTileRows];
  uint32_t fifths[1][kTileRows];
  uint8_t quants[1][4][64];
};
struct TileQ5_1 : IntegerTile<BlockFormat::kQ5_1, 1> {
  uint16_t scales[kTileRows];
  uint16_t minima[kTileRows];
  uint32_t fifths[1][kTileRows];
  uint8_t quants[1][4][64];
};
struct TileQ8_0 : IntegerTile<BlockFormat::kQ8_0, 1> {
  static constexpr int kOffset = 128;
  uint16_t scales[kTileRows];
  uint8_t quants[1][8][64];
};
struct TileIQ4_NL : IntegerTile<BlockFormat::kIQ4_NL, 1> {
  static constexpr int kOffset = 128;
  static constexpr bool kTable = true;
  uint16_t scales[kTileRows];
  uint8_t quants[1][4][64];
};
struct TileIQ4_XS : IntegerTile<BlockFormat::kIQ4_XS, 8> {
  static constexpr int kOffset = 128;
  static constexpr bool kTable = true;
  static constexpr int kSubScaleOffset = 32;
  uint16_t scales[kTileRows];
  SixBits sub_scales;
  uint8_t quants[8][4][64];
};
struct TileQ4_K : IntegerTile<BlockFormat::kQ4_K, 8> {
  uint16_t scales[kTileRows];
  uint16_t minima[kTileRows];
  SixBits sub_scales;
  SixBits sub_minima;
  uint8_t quants[8][4][64];
};
struct TileQ5_K : IntegerTile<BlockFormat::kQ5_K, 8> {
  uint16_t scales[kTileRows];
  uint16_t minima[kTileRows];
  SixBits sub_scales;
  SixBits sub_minima;
  uint32_t fifths[8][kTileRows];
  uint8_t quants[8][4][64];
};
struct TileQ6_K : IntegerTile<BlockFormat::kQ6_K, 8> {
  static constexpr int kScalesOfBlock = 2;
  static constexpr int kOffset = 32;
  uint16_t scales[kTileRows];
  int8_t sub_scales[16][kTileRows];
  uint32_t uppers[8][2][kTileRows];
  uint8_t quants[8][4][64];
};

// This is a tile of 32 columns of floats of 16 bits, as in the file.
template <BlockFormat format>
struct FloatTile {
  static constexpr BlockFormat kFormat = format;
  static constexpr int kBlocks = 1;
  uint16_t numbers[kBlockCols][kTileRows];
};
struct TileF16 : FloatTile<BlockFormat::kF16> {};
struct TileBF16 : FloatTile<BlockFormat::kBF16> {};

template <class Tile>
inline constexpr bool kIsFloatTile = requires(Tile tile) {
  tile.numbers;
};

// Calls run.template operator()<Tile>() with the tile of the first format in
// the list that is `format`; returns false if there is none. One more format
// needs its tile above, its name here, and how the file has it (file_blocks.h).
template <class... Tiles>
struct TileList {
  template <class Run>
  static bool With(BlockFormat format, Run run) {
    return ((Tiles::kFormat == format ? (run.template operator()<Tiles>(), true)
                                      : false) ||
            ...);
  }
  // Calls run.template operator()<Tile>() with each tile.
  template <class Run>
  static void ForEach(Run run) {
    (run.template operator()<Tiles>(), ...);
  }
};
using AllTiles =
    TileList<TileQ4_K, TileQ6_K, TileQ5_K, TileQ4_0, TileQ4_1, TileQ5_0,
             TileQ5_1, TileQ8_0, TileIQ4_NL, TileIQ4_XS, TileF16, TileBF16>;

}  // namespace subgen::cpu
