// These are the dense operations of the specification: plain loops and double
// sums.
#pragma once

#include "kernels/memory/view.h"
#include "kernels/quant/block_format.h"
#include "kernels/rotary.h"

namespace subgen::reference {

void Linear(Matrix<const float> input, const WeightMatrix& weight,
            Matrix<float> output);
void Embed(const WeightMatrix& table, Vector<const int> ids,
           Matrix<float> output);
void RmsNorm(Matrix<const float> input, Vector<const float> gain, float epsilon,
             Matrix<float> output);
void Rotate(const Rotary& rotary, Vector<const int64_t> positions,
            int64_t head_dim, Matrix<float> heads);
void GatedSilu(Matrix<const float> up, Matrix<float> gate);
void Add(Matrix<const float> x, Matrix<float> accumulator);
void AddRow(Vector<const float> row, Matrix<float> matrix);
void Top(Matrix<const float> rows, Vector<const float> scales,
         Matrix<float> output);

}  // namespace subgen::reference
