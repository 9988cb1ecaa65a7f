// Linear in integer dot products, on machines with AVX-512 VNNI and VBMI.
#pragma once

#include "kernels/cpu/linear_part.h"
#include "kernels/cpu/quantized_tokens.h"

namespace subgen::cpu {

// Whether this machine has the instructions and the weight is one of Q4_0, Q4_1
// or Q8_0, with rows of at least a group of blocks: shorter ones would be
// multiplied with padding for the most part.
bool HasIntegerLinear(BlockFormat format, int64_t cols);

void QuantizeToken(Vector<const float> numbers, const QuantizedToken& out);

// Rows [first, first + count) of the weight with all tokens. The sum of a row
// and a token is taken in the same order however many tokens and rows there
// are: blocks b of each 2,048 columns one after the other in four sums by
// b mod 4, and those in order.
void IntegerLinearRows(const LinearPart& part, const QuantizedTokens& tokens,
                       float* scratch);
int64_t IntegerLinearScratch();  // floats

}  // namespace subgen::cpu
