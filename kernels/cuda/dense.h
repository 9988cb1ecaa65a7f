// Dense operations on device memory: every pointer in a view is one of the
// device. They are put on the stream and return at once. Shapes as in
// kernels/backend.h, whose caller has checked them.
#pragma once

#include <cuda_runtime_api.h>

#include "kernels/memory/view.h"
#include "kernels/quant/block_format.h"

namespace subgen::cuda {

// Up to so many tokens take the matrix-vector way: float32 throughout. More
// take tensor cores: weights and inputs rounded to bf16, sums in float32.
inline constexpr int64_t kFewTokens = 16;

void Linear(cudaStream_t stream, Matrix<const float> input,
            const WeightMatrix& weight, Matrix<float> output);
// Row i of `rows` [output.rows, cols] into row i of the output.
void Dequantize(cudaStream_t stream, const WeightMatrix& rows,
                Matrix<float> output);
void RmsNorm(cudaStream_t stream, Matrix<const float> input, const float* gain,
             float epsilon, Matrix<float> output);

// Angles of kernels/rotary.h: [pairs] radians a token.
struct RotaryAngles {
  const double* inverse_frequency = nullptr;
  int pairs = 0;
  double magnitude = 1.0;
  bool interleaved = false;
};
void Rotate(cudaStream_t stream, const RotaryAngles& rotary,
            const int64_t* positions, int64_t head_dim, Matrix<float> heads);

void GatedSilu(cudaStream_t stream, Matrix<const float> up, Matrix<float> gate);
void Add(cudaStream_t stream, Matrix<const float> x, Matrix<float> accumulator);
void AddRow(cudaStream_t stream, const float* row, Matrix<float> matrix);

}  // namespace subgen::cuda
