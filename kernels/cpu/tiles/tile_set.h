// These are the products of tiles in the instruction sets that have dot
// products of integers. Each set gives the same bits: dots are exact, and
// floats are multiplied and added in one order.
#pragma once

#include <hwy/base.h>

#include "kernels/cpu/tiles/linear_part.h"
#include "kernels/cpu/tiles/packed_weights.h"
#include "kernels/cpu/tiles/quantized_tokens.h"

// clang before 16 has those instructions for whole files only.
#define SUBGEN_HAS_NEON_DOT (HWY_ARCH_ARM_A64 && HWY_COMPILER_GCC_ACTUAL)

namespace subgen::cpu {

struct TileSet {
  const char* name = nullptr;
  bool (*present)() = nullptr;  // on this machine
  QuantOrder order = QuantOrder::kHalves;
  // Multiplies rows [first, first + count) of a weight that HasTiles by all
  // tokens; `first` is a multiple of kTileRows. Tiles of integers are
  // multiplied by `tokens`, those of floats by the part's input. Tiles that are
  // not kept are packed when they are needed. The sum of a row and a token is
  // taken in the same order however many tokens and rows there are:
  // kChunkBlocks blocks (floats: kChunkColumns columns) after one another, and
  // those sums in order.
  void (*multiply)(const LinearPart& part, const QuantizedTokens& tokens,
                   std::byte* scratch) = nullptr;

  static constexpr int64_t kChunkBlocks = 16;
  static constexpr int64_t kChunkColumns = 128;
  // From so many tokens on, tiles of floats are widened, and the part's input
  // should have rows an odd number of cache lines apart.
  static constexpr int64_t kManyForFloats = 4;
  // Returns the bytes of scratch that `multiply` needs, 64-byte aligned.
  static int64_t ScratchBytes(const LinearPart& part);
};

// So many tiles are widened at a time, for many tokens.
inline constexpr int64_t kWideTiles = 4;

extern const TileSet kAvx2;        // tiles_avx2.cc
extern const TileSet kAvxVnni;     // tiles_avx_vnni.cc
extern const TileSet kAvx512Vnni;  // tiles_avx512_vnni.cc
extern const TileSet kNeonDot;     // tiles_neon_dot.cc

// Returns the sets compiled for this architecture, the fastest first.
Vector<const TileSet* const> TileSets();

// Returns whether products of the weight use its tiles: it has them, and its
// rows are long enough to gain by it, four blocks.
bool SuitsTiles(const WeightMatrix& weight);

}  // namespace subgen::cpu
