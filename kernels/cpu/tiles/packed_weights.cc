#include "kernels/cpu/tiles/packed_weights.h"

#include <algorithm>
#include <cstring>

#include "kernels/base/check.h"
#include "kernels/cpu/tiles/file_blocks.h"

namespace subgen::cpu {
namespace {

uint32_t Word(const uint8_t* bytes) {
  uint32_t word;
  std::memcpy(&word, bytes, sizeof(word));
  return word;
}

// Both functions below do what tiles.h says of a member, in one direction and
// the other.

// Moves a block of 32 columns of a row.
template <class Tile>
void SetQuants(const uint8_t* quants, int b, int64_t r, Tile* tile) {
  constexpr int kGroups = sizeof(Tile::quants[0]) / 64;
  uint8_t bytes[kBlockCols];
  std::memcpy(bytes, quants, kBlockCols);
  if (kGroups == 4) {
    for (int i = 0; i < 16; ++i) {
      bytes[i] = (quants[i] & 15) | quants[16 + i] << 4;
    }
  }
  for (int i = 0; i < kGroups; ++i) {
    std::memcpy(&tile->quants[b][i][4 * r], bytes + 4 * i, 4);
  }
  if constexpr (requires { tile->fifths; }) {
    uint32_t bits = 0;
    for (int g = 0; g < 8; ++g) {
      bits |= (Word(quants + 4 * g) >> 4 & 0x01010101) << g;
    }
    tile->fifths[b][r] = bits;
  }
  if constexpr (requires { tile->uppers; }) {
    for (int h = 0; h < 2; ++h) {
      uint32_t bits = 0;
      for (int g = 0; g < 4; ++g) {
        bits |= (Word(quants + 16 * h + 4 * g) >> 4 & 0x03030303) << 2 * g;
      }
      tile->uppers[b][h][r] = bits;
    }
  }
}

template <class Tile>
void GetQuants(const Tile& tile, int b, int64_t r, uint8_t* quants) {
  constexpr int kGroups = sizeof(Tile::quants[0]) / 64;
  for (int g = 0; g < 8; ++g) {
    for (int j = 0; j < 4; ++j) {
      const int byte = tile.quants[b][g % kGroups][4 * r + j];
      int quant = kGroups == 8 ? byte : g < 4 ? byte & 15 : byte >> 4;
      if constexpr (requires { tile.fifths; }) {
        quant |= (tile.fifths[b][r] >> (8 * j + g) & 1) << 4;
      }
      if constexpr (requires { tile.uppers; }) {
        quant |= (tile.uppers[b][g / 4][r] >> (8 * j + 2 * (g % 4)) & 3) << 4;
      }
      quants[4 * g + j] = static_cast<uint8_t>(quant);
    }
  }
}

void SetSixBits(const uint8_t* numbers, int64_t r, SixBits* to) {
  for (int i = 0; i < 4; ++i) {
    to->low[i][r] = (numbers[i] & 15) | (numbers[4 + i] & 15) << 4;
  }
  for (int i = 0; i < 2; ++i) {
    int bits = 0;
    for (int k = 0; k < 4; ++k) bits |= numbers[2 * k + i] >> 4 << 2 * k;
    to->high[i][r] = static_cast<uint8_t>(bits);
  }
}

void GetSixBits(const SixBits& from, int64_t r, uint8_t* numbers) {
  for (int s = 0; s < 8; ++s) {
    numbers[s] = (from.low[s % 4][r] >> 4 * (s / 4) & 15) |
                 (from.high[s % 2][r] >> 2 * (s / 2) & 3) << 4;
  }
}

template <class Tile>
void SetRow(const RowBlock<Tile>& row, int64_t r, Tile* tile) {
  tile->scales[r] = row.scale;
  if constexpr (requires { tile->minima; }) tile->minima[r] = row.minimum;
  for (int b = 0; b < Tile::kBlocks; ++b) SetQuants(row.quants[b], b, r, tile);
  if constexpr (requires { tile->sub_scales.low; }) {
    SetSixBits(row.sub_scales, r, &tile->sub_scales);
  } else if constexpr (requires { tile->sub_scales; }) {
    for (int s = 0; s < 16; ++s) {
      tile->sub_scales[s][r] = static_cast<int8_t>(row.sub_scales[s]);
    }
  }
  if constexpr (requires { tile->sub_minima; }) {
    SetSixBits(row.sub_minima, r, &tile->sub_minima);
  }
}

template <class Tile>
void GetRow(const Tile& tile, int64_t r, RowBlock<Tile>* row) {
  row->scale = tile.scales[r];
  if constexpr (requires { tile.minima; }) row->minimum = tile.minima[r];
  for (int b = 0; b < Tile::kBlocks; ++b) GetQuants(tile, b, r, row->quants[b]);
  if constexpr (requires { tile.sub_scales.low; }) {
    GetSixBits(tile.sub_scales, r, row->sub_scales);
  } else if constexpr (requires { tile.sub_scales; }) {
    for (int s = 0; s < 16; ++s) {
      row->sub_scales[s] = static_cast<uint8_t>(tile.sub_scales[s][r]);
    }
  }
  if constexpr (requires { tile.sub_minima; }) {
    GetSixBits(tile.sub_minima, r, row->sub_minima);
  }
}

// Moves a row's part of a tile, as it is in the file.
template <class Tile>
void FromFile(const std::byte* block, int64_t r, Tile* tile) {
  if constexpr (kIsFloatTile<Tile>) {
    for (int64_t c = 0; c < kBlockCols; ++c) {
      std::memcpy(&tile->numbers[c][r], block + 2 * c, 2);
    }
  } else {
    RowBlock<Tile> row;
    Move(BlockReader(block), row);
    SetRow(row, r, tile);
  }
}

template <class Tile>
void ToFile(const Tile& tile, int64_t r, std::byte* block) {
  if constexpr (kIsFloatTile<Tile>) {
    for (int64_t c = 0; c < kBlockCols; ++c) {
      std::memcpy(block + 2 * c, &tile.numbers[c][r], 2);
    }
  } else {
    RowBlock<Tile> row;
    GetRow(tile, r, &row);
    std::memset(block, 0, sizeof(Tile) / kTileRows);
    Move(BlockWriter(block), row);
  }
}

template <class Tile>
void Pack(const WeightMatrix& weight, int64_t first, std::byte* out) {
  constexpr int64_t kBytes = sizeof(Tile) / kTileRows;
  const int64_t rows = std::min(kTileRows, weight.rows - first);
  Tile tile = {};
  for (int64_t at = 0; at < weight.row_bytes(); at += kBytes) {
    for (int64_t r = 0; r < rows; ++r) {
      FromFile(weight.row(first + r) + at, r, &tile);
    }
    std::memcpy(out + kTileRows * at, &tile, sizeof(tile));
  }
}

template <class Tile>
void Unpack(const WeightMatrix& weight, const std::byte* from, int64_t r,
            std::byte* out) {
  constexpr int64_t kBytes = sizeof(Tile) / kTileRows;
  Tile tile;
  for (int64_t at = 0; at < weight.row_bytes(); at += kBytes) {
    std::memcpy(&tile, from + kTileRows * at, sizeof(tile));
    ToFile(tile, r, out + at);
  }
}

}  // namespace

bool HasTiles(const WeightMatrix& weight) {
  bool whole = false;
  AllTiles::With(weight.format, [&]<class Tile>() {
    whole = weight.cols % (Tile::kBlocks * kBlockCols) == 0;
  });
  return whole;
}

int64_t TileBytes(const WeightMatrix& weight) {
  return kTileRows * weight.row_bytes();
}

void PackTile(const WeightMatrix& weight, int64_t tile, std::byte* out) {
  const bool packed = AllTiles::With(weight.format, [&]<class Tile>() {
    Pack<Tile>(weight, tile * kTileRows, out);
  });
  SUBGEN_CHECK(packed, "no tiles of ", BlockFormatName(weight.format));
}

void UnpackRow(const WeightMatrix& weight, const std::byte* tiles, int64_t row,
               std::byte* out) {
  const std::byte* const from = tiles + row / kTileRows * TileBytes(weight);
  const bool packed = AllTiles::With(weight.format, [&]<class Tile>() {
    Unpack<Tile>(weight, from, row % kTileRows, out);
  });
  SUBGEN_CHECK(packed, "no tiles of ", BlockFormatName(weight.format));
}

void PackedWeights::Keep(const WeightMatrix& weight, ThreadPool& pool) {
  if (weight.rows == 0) return;
  const int64_t tiles = (weight.rows + kTileRows - 1) / kTileRows;
  const int64_t bytes = TileBytes(weight);
  std::byte* const packed = memory_.Take(tiles * bytes);
  pool.ParallelFor(tiles, [&](int64_t tile, int) {
    PackTile(weight, tile, packed + tile * bytes);
  });
  kept_[KeyOf(weight)] = packed;
}

const std::byte* PackedWeights::Find(const WeightMatrix& weight) const {
  const auto found = kept_.find(KeyOf(weight));
  return found == kept_.end() ? nullptr : found->second;
}

}  // namespace subgen::cpu
