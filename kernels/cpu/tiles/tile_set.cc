#include "kernels/cpu/tiles/tile_set.h"

#include <algorithm>

namespace subgen::cpu {

// A widened tile takes two bytes per quant, and two scales and a minimum per
// block; or it takes floats.
int64_t TileSet::ScratchBytes(const LinearPart& part) {
  constexpr int64_t kQuants = kChunkBlocks * kTileRows * (2 * kBlockCols + 12);
  constexpr int64_t kFloats = kChunkColumns * kTileRows * sizeof(float);
  const int64_t packed = part.tiles == nullptr ? TileBytes(*part.weight) : 0;
  return kWideTiles * (std::max(kQuants, kFloats) + packed);
}

Vector<const TileSet* const> TileSets() {
#if HWY_ARCH_X86_64
  static constexpr const TileSet* kSets[] = {&kAvx512Vnni, &kAvxVnni, &kAvx2};
  return kSets;
#elif SUBGEN_HAS_NEON_DOT
  static constexpr const TileSet* kSets[] = {&kNeonDot};
  return kSets;
#else
  return {};
#endif
}

bool SuitsTiles(const WeightMatrix& weight) {
  return HasTiles(weight) && weight.cols >= 4 * kBlockCols;
}

}  // namespace subgen::cpu
