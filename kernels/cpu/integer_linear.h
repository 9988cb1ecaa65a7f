// Linear in integer dot products, on machines with AVX-512 VNNI.
#pragma once

#include "kernels/cpu/linear_part.h"
#include "kernels/cpu/packed_weights.h"
#include "kernels/cpu/quantized_tokens.h"

namespace subgen::cpu {

// Whether this machine has the instructions, such weights can be packed, and
// their rows are long enough to gain by it: four blocks.
bool HasIntegerLinear(BlockFormat format, int64_t cols);

void QuantizeToken(Vector<const float> numbers, const QuantizedToken& out);

// Rows [first, first + count) of the weight with all tokens; `first` is a
// multiple of kTileRows. Tiles that are not there are packed into `scratch`,
// 2 TileBytes, when their turn comes. The sum of a row and a token is taken in
// the same order however many tokens and rows there are: 16 blocks after one
// another, and those sums in order.
void IntegerLinearRows(const LinearPart& part, const QuantizedTokens& tokens,
                       std::byte* scratch);

}  // namespace subgen::cpu
