#include "kernels/cpu/packed_weights.h"

#include <algorithm>
#include <cstring>

#include "kernels/base/check.h"

namespace subgen::cpu {
namespace {

uint16_t Half(const std::byte* from) {
  uint16_t bits;
  std::memcpy(&bits, from, sizeof(bits));
  return bits;
}

// Row r of a tile of nibbles, from bytes that hold what the tile's do.
template <class Tile>
void SetQuants(const std::byte* nibbles, int64_t r, Tile* tile) {
  for (int64_t i = 0; i < 4; ++i) {
    std::memcpy(&tile->quants[i][4 * r], nibbles + 4 * i, 4);
  }
}

void SetRow(const std::byte* block, int64_t r, TileQ4_0* tile) {
  tile->scales[r] = Half(block);
  SetQuants(block + 2, r, tile);
}

void SetRow(const std::byte* block, int64_t r, TileQ4_1* tile) {
  tile->scales[r] = Half(block);
  tile->minima[r] = Half(block + 2);
  SetQuants(block + 4, r, tile);
}

void SetRow(const std::byte* block, int64_t r, TileQ8_0* tile) {
  tile->scales[r] = Half(block);
  for (int64_t column = 0; column < kBlockCols; ++column) {
    tile->quants[column / 4][4 * r + column % 4] =
        std::to_integer<uint8_t>(block[2 + column] ^ std::byte{0x80});
  }
}

void GetScale(uint16_t scale, std::byte* to) {
  std::memcpy(to, &scale, sizeof(scale));
}

template <class Tile>
void GetQuants(const Tile& tile, int64_t r, std::byte* nibbles) {
  for (int64_t i = 0; i < 4; ++i) {
    std::memcpy(nibbles + 4 * i, &tile.quants[i][4 * r], 4);
  }
}

// SetRow's reverse.
void GetRow(const TileQ4_0& tile, int64_t r, std::byte* block) {
  GetScale(tile.scales[r], block);
  GetQuants(tile, r, block + 2);
}

void GetRow(const TileQ4_1& tile, int64_t r, std::byte* block) {
  GetScale(tile.scales[r], block);
  GetScale(tile.minima[r], block + 2);
  GetQuants(tile, r, block + 4);
}

void GetRow(const TileQ8_0& tile, int64_t r, std::byte* block) {
  GetScale(tile.scales[r], block);
  for (int64_t column = 0; column < kBlockCols; ++column) {
    block[2 + column] = std::byte{tile.quants[column / 4][4 * r + column % 4]} ^
                        std::byte{0x80};
  }
}

template <class Tile>
void Unpack(const WeightMatrix& weight, const std::byte* from, int64_t r,
            std::byte* out) {
  const int64_t bytes = BlockBytes(weight.format);
  Tile tile;
  for (int64_t b = 0; b < weight.cols / kBlockCols; ++b) {
    std::memcpy(&tile, from + b * sizeof(Tile), sizeof(Tile));
    GetRow(tile, r, out + b * bytes);
  }
}

template <class Tile>
void Pack(const WeightMatrix& weight, int64_t first, std::byte* out) {
  const int64_t rows = std::min(kTileRows, weight.rows - first);
  const int64_t bytes = BlockBytes(weight.format);
  Tile tile = {};
  for (int64_t b = 0; b < weight.cols / kBlockCols; ++b) {
    for (int64_t r = 0; r < rows; ++r) {
      SetRow(weight.row(first + r) + b * bytes, r, &tile);
    }
    std::memcpy(out + b * sizeof(Tile), &tile, sizeof(Tile));
  }
}

}  // namespace

bool CanPack(BlockFormat format) {
  return format == BlockFormat::kQ4_0 || format == BlockFormat::kQ4_1 ||
         format == BlockFormat::kQ8_0;
}

int64_t TileBytes(const WeightMatrix& weight) {
  return kTileRows * weight.row_bytes();
}

void PackTile(const WeightMatrix& weight, int64_t tile, std::byte* out) {
  switch (weight.format) {
    case BlockFormat::kQ4_0:
      return Pack<TileQ4_0>(weight, tile * kTileRows, out);
    case BlockFormat::kQ4_1:
      return Pack<TileQ4_1>(weight, tile * kTileRows, out);
    case BlockFormat::kQ8_0:
      return Pack<TileQ8_0>(weight, tile * kTileRows, out);
    default:
      Fatal(absl::StrCat("no tiles of ", BlockFormatName(weight.format)));
  }
}

void UnpackRow(const WeightMatrix& weight, const std::byte* tiles, int64_t row,
               std::byte* out) {
  const std::byte* const tile = tiles + row / kTileRows * TileBytes(weight);
  switch (weight.format) {
    case BlockFormat::kQ4_0:
      return Unpack<TileQ4_0>(weight, tile, row % kTileRows, out);
    case BlockFormat::kQ4_1:
      return Unpack<TileQ4_1>(weight, tile, row % kTileRows, out);
    case BlockFormat::kQ8_0:
      return Unpack<TileQ8_0>(weight, tile, row % kTileRows, out);
    default:
      Fatal(absl::StrCat("no tiles of ", BlockFormatName(weight.format)));
  }
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
