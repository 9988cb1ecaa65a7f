// input weight^T from quantised weights.
#pragma once

#include "kernels/backend.h"
#include "kernels/cpu/context.h"

namespace subgen::cpu {

// A token's outputs are the same bits whatever other tokens are in the batch
// and however many threads there are.
void Linear(Context& context, Matrix<const float> input,
            const WeightMatrix& weight, Matrix<float> output);

// Row `row` of the table, the same numbers as Dequantize.
void ExpandRow(const WeightMatrix& table, int64_t row, Vector<float> out);

}  // namespace subgen::cpu
