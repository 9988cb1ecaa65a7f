// Instruction sets of the cpu backend, as tests pick them.
#pragma once

#include "kernels/cpu/simd.h"
// After simd.h, which says which targets there are.
#include <hwy/highway.h>

#include "kernels/cpu/tile_set.h"

namespace subgen {

// Kernels called from now on are those of `target`; 0: of the best one.
inline void UseTarget(int64_t target) {
  hwy::SetSupportedTargetsForTest(target);
  hwy::GetChosenTarget().DeInit();
}

// Null where the target's vectors are too short for products of tiles.
inline const cpu::TileSet* TileSetOf(int64_t target) {
  switch (target) {
    case HWY_SCALAR:
      return cpu::FindTileSet(32);
    case HWY_AVX2:
      return cpu::FindTileSet(256);
    case HWY_AVX3:
      return cpu::FindTileSet(512);
    default:
      return cpu::FindTileSet(128);
  }
}

}  // namespace subgen
