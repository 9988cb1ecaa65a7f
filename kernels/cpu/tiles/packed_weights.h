// Weights are laid out for products (tiles.h): tile after tile, and in a tile
// the blocks of all its rows from the first column to the last, so that a
// single stream is read from the first byte to the last.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <tuple>

#include "kernels/cpu/threads/thread_pool.h"
#include "kernels/cpu/tiles/tiles.h"
#include "kernels/memory/huge_pages.h"

namespace subgen::cpu {

// Returns whether there is a tile of the format and the matrix consists of
// whole ones.
bool HasTiles(const WeightMatrix& weight);
int64_t TileBytes(const WeightMatrix& weight);  // of 16 whole rows
// Packs rows [16 tile, 16 tile + 16), with zeros where there are no more.
void PackTile(const WeightMatrix& weight, int64_t tile, std::byte* out);
// Restores a row's blocks as they were, row_bytes() of them, from the weight's
// tiles.
void UnpackRow(const WeightMatrix& weight, const std::byte* tiles, int64_t row,
               std::byte* out);

// Keeps the packed form of weights that stay.
class PackedWeights {
 public:
  // Packs a matrix that has tiles, and keeps them.
  void Keep(const WeightMatrix& weight, ThreadPool& pool);
  // Returns the first tile; null if the matrix was not kept.
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
