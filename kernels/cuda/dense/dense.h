// These are dense operations on device memory: every pointer in a view is one
// of the device. Calls are put on the queue and return at once. Shapes are as
// in kernels/dense_ops.h, whose caller has checked them.
#pragma once

#include "kernels/memory/view.h"
#include "kernels/quant/block_format.h"

namespace subgen::cuda {

class Queue;

// Up to so many tokens are multiplied as vectors, in float32 throughout. More
// take tensor cores: weights and inputs are rounded to bf16, and sums are
// float32.
inline constexpr int64_t kFewTokens = 16;

// This is a product of a weight and an output on the device.
struct DeviceProduct {
  WeightMatrix weight;
  Matrix<float> output;
};
void Linears(Queue* queue, Matrix<const float> input,
             Vector<const DeviceProduct> products);
void GatedLinears(Queue* queue, Matrix<const float> input,
                  const DeviceProduct& up, const DeviceProduct& gate);
// Copies row ids[i] of the table into row i of the output; row i if ids is
// null.
void Embed(Queue* queue, const WeightMatrix& table, const int* ids,
           Matrix<float> output);
struct NormGain {
  const float* gain = nullptr;
  float epsilon = 0.0f;
};
void RmsNorm(Queue* queue, Matrix<const float> input, const NormGain& gain,
             Matrix<float> output);
void AddRmsNorm(Queue* queue, Matrix<const float> x, Matrix<float> accumulator,
                const NormGain& gain, Matrix<float> output);

void GatedSilu(Queue* queue, Matrix<const float> up, Matrix<float> gate);
void Add(Queue* queue, Matrix<const float> x, Matrix<float> accumulator);
void AddRow(Queue* queue, const float* row, Matrix<float> matrix);

}  // namespace subgen::cuda
