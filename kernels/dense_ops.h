// The layers of a model ask a device for this beside attention: products with
// weights, norms, sums and the largest logits, for all tokens of a step. Shapes
// that do not fit together are bugs (Fatal).
#pragma once

#include <cstdint>

#include "kernels/memory/view.h"
#include "kernels/quant/block_format.h"
#include "kernels/top_numbers.h"

namespace subgen {

// This is one of several products that have the same input.
struct LinearProduct {
  const WeightMatrix* weight = nullptr;
  Matrix<float> output;  // [tokens, weight->rows]
};

class DenseOps {
 public:
  virtual ~DenseOps() = default;

  // Sets output = input weight^T for each product; input: [tokens,
  // weight->cols].
  virtual void Linears(Matrix<const float> input,
                       Vector<const LinearProduct> products) = 0;
  // Does the same with one weight.
  void Linear(Matrix<const float> input, const WeightMatrix& weight,
              Matrix<float> output) {
    const LinearProduct product = {&weight, output};
    Linears(input, {&product, 1});
  }
  // Sets gate = gate / (1 + exp(-gate)) * up.
  virtual void GatedSilu(Matrix<const float> up, Matrix<float> gate) = 0;
  // Does Linears with both, then GatedSilu on their outputs, to the bit. The
  // output of `up` may hold anything afterwards.
  virtual void GatedLinears(Matrix<const float> input, const LinearProduct& up,
                            const LinearProduct& gate) = 0;

  // Copies row ids[i] of the table into row i of the output.
  virtual void Embed(const WeightMatrix& table, Vector<const int> ids,
                     Matrix<float> output) = 0;
  // Scales each row to a root mean square of 1, then multiplies it by gain
  // [cols]. Input and output may be the same memory.
  virtual void RmsNorm(Matrix<const float> input, Vector<const float> gain,
                       float epsilon, Matrix<float> output) = 0;
  // Adds x to the accumulator.
  virtual void Add(Matrix<const float> x, Matrix<float> accumulator) = 0;
  // Does Add, then RmsNorm of the accumulator, to the bit.
  virtual void AddRmsNorm(Matrix<const float> x, Matrix<float> accumulator,
                          Vector<const float> gain, float epsilon,
                          Matrix<float> output) = 0;
  // Adds row [cols] to each row of the matrix.
  virtual void AddRow(Vector<const float> row, Matrix<float> matrix) = 0;

  // Finds the largest numbers of each row, and the sum of exp(scales[i] (x -
  // largest)) over row i, as top_numbers.h lays them out. output: [rows,
  // TopWidth(most)], 1 <= most <= kMostTop.
  virtual void Top(Matrix<const float> rows, Vector<const float> scales,
                   Matrix<float> output) = 0;

  // Copies row rows[i] into row i of the output.
  virtual void GatherRows(Matrix<const float> from, Vector<const int> rows,
                          Matrix<float> output) = 0;
  // Sets all numbers to 0.
  virtual void Clear(Matrix<float> matrix) = 0;
};

}  // namespace subgen
