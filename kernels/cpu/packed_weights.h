// Quantised weights laid out for integer products: tiles of 16 rows, and in a
// tile a block (32 columns) of all its rows after another, so that one stream
// is read from the first byte to the last. A tile is as large as the blocks
// that it is made of.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <tuple>

#include "kernels/cpu/thread_pool.h"
#include "kernels/memory/huge_pages.h"
#include "kernels/quant/block_format.h"

namespace subgen::cpu {

inline constexpr int64_t kTileRows = 16;
inline constexpr int64_t kBlockCols = 32;

// A block of 16 rows. quants[i][4 r + j] is of row r:
//   nibbles: low half of column 4 i + j, high half of column 16 + 4 i + j
//   bytes:   column 4 i + j, plus 128
struct TileQ4_0 {
  uint8_t quants[4][64];
  uint16_t scales[kTileRows];  // as in the file, f16
};
struct TileQ4_1 {
  uint8_t quants[4][64];
  uint16_t scales[kTileRows];
  uint16_t minima[kTileRows];
};
struct TileQ8_0 {
  uint8_t quants[8][64];
  uint16_t scales[kTileRows];
};

bool CanPack(BlockFormat format);               // Q4_0, Q4_1, Q8_0
int64_t TileBytes(const WeightMatrix& weight);  // of 16 rows
// Rows [16 tile, 16 tile + 16); zeros where there are no more.
void PackTile(const WeightMatrix& weight, int64_t tile, std::byte* out);
// A row's blocks as they were, row_bytes() of them, from the weight's tiles.
void UnpackRow(const WeightMatrix& weight, const std::byte* tiles, int64_t row,
               std::byte* out);

// Weights that stay, packed.
class PackedWeights {
 public:
  // Of a format that can be packed.
  void Keep(const WeightMatrix& weight, ThreadPool& pool);
  // The first tile; null where it was not kept.
  const std::byte* Find(const WeightMatrix& weight) const;

 private:
  using Key = std::tuple<const std::byte*, int64_t, int64_t, int64_t>;
  static Key KeyOf(const WeightMatrix& weight) {
    return {weight.data, weight.rows, weight.cols, weight.row_stride};
  }

  HugePages memory_;
  std::map<Key, std::byte*> kept_;
};

}  // namespace subgen::cpu
