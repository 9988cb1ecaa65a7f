// Computes products input weight^T from quantized weights.
#pragma once

#include "kernels/cpu/threads/context.h"
#include "kernels/cpu/tiles/linear_part.h"
#include "kernels/cpu/tiles/packed_weights.h"
#include "kernels/dense_ops.h"

namespace subgen::cpu {

LinearKernel KernelOf(const WeightMatrix& weight);

// Packs a weight that is multiplied in tiles on this machine.
void KeepWeight(Context& context, const WeightMatrix& weight,
                PackedWeights& packed);

// Multiplies the input by all weights. A token's outputs are the same bits
// whatever other tokens are in the batch and however many threads there are.
void Linears(Context& context, const PackedWeights& packed,
             Matrix<const float> input, Vector<const LinearProduct> products);

// Expands row `row` of the table to the same numbers as Dequantize.
void ExpandRow(const WeightMatrix& table, int64_t row, Vector<float> out);

}  // namespace subgen::cpu
