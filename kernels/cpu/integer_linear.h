// Linear in integer dot products. Each instruction set gives the same bits:
// dots are exact, and floats are multiplied and added in one order.
#pragma once

#include "kernels/cpu/linear_part.h"
#include "kernels/cpu/packed_weights.h"
#include "kernels/cpu/quantized_tokens.h"

namespace subgen::cpu {

struct IntegerSet {
  const char* name = nullptr;
  int64_t vector_bits = 0;
  bool (*present)() = nullptr;  // on this machine
  QuantOrder order = QuantOrder::kHalves;
  // Rows [first, first + count) of the weight with all tokens; `first` is a
  // multiple of kTileRows. Tiles that are not there are packed into `scratch`,
  // kScratchTiles TileBytes, when their turn comes. The sum of a row and a
  // token is taken in the same order however many tokens and rows there are: 16
  // blocks after one another, and those sums in order.
  void (*multiply)(const LinearPart& part, const QuantizedTokens& tokens,
                   std::byte* scratch) = nullptr;

  static constexpr int64_t kScratchTiles = 2;
};

// Those compiled for this architecture, the fastest first.
Vector<const IntegerSet* const> IntegerSets();

// The fastest that is on this machine and has vectors of at most so many bits;
// null where there is none.
const IntegerSet* FindIntegerSet(int64_t most_bits);

// Whether such weights can be packed, and their rows are long enough to gain by
// it: four blocks.
bool SuitsIntegers(BlockFormat format, int64_t cols);

}  // namespace subgen::cpu
