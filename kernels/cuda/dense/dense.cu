#include "kernels/cuda/dense/dense.h"
#include "kernels/cuda/dense/gated_silu.h"
#include "kernels/cuda/dense/linear.h"
#include "kernels/cuda/dense/weight_blocks.h"
#include "kernels/cuda/device/element_wise.h"
#include "kernels/cuda/device/warp.h"

namespace subgen::cuda {
namespace {

constexpr int kThreads = 256;  // of a block that takes a row

// ids names the row of the table for each row of the output; if it is null, the
// rows are the same.
template <BlockFormat format>
__global__ void Expand(WeightBlocks table, const int* ids,
                       Matrix<float> output) {
  using B = Blocks<format>;
  const int64_t pieces = (table.cols + 7) / 8;
  const int64_t element = Element();
  if (element >= output.rows * pieces) return;
  const int64_t row = element / pieces, at = element % pieces;
  const int64_t from = ids == nullptr ? row : ids[row];
  constexpr int kPieces = B::kNumbers / 8;
  const int64_t start = at / kPieces * B::kNumbers;
  const int piece = static_cast<int>(at % kPieces);
  float numbers[8];
  LoadPiece<format>(
      table.data + from * table.row_stride + at / kPieces * B::kBytes, piece,
      table.cols - start, numbers);
  float* out = output.data + row * output.stride + start;
  for (int i = 0; i < 4; ++i) {
    const int first = B::First(piece) + i, second = B::Second(piece) + i;
    if (start + first < table.cols) out[first] = numbers[i];
    if (start + second < table.cols) out[second] = numbers[4 + i];
  }
}

// Writes the norm of the row that a block has: `squares` is a thread's part of
// its sum of squares.
__device__ __forceinline__ void WriteNorm(double squares, const float* row,
                                          int64_t cols, const float* gain,
                                          float epsilon, float* out) {
  __shared__ double sums[kThreads / kWarp];
  squares = GroupSum(squares);
  if (threadIdx.x % kWarp == 0) sums[threadIdx.x / kWarp] = squares;
  __syncthreads();
  double sum = 0.0;
  for (const double part : sums) sum += part;
  const double scale = 1.0 / sqrt(sum / cols + epsilon);
  for (int64_t i = threadIdx.x; i < cols; i += kThreads) {
    out[i] = static_cast<float>(row[i] * scale * gain[i]);
  }
}

// Takes a row per block.
__global__ void Norm(Matrix<const float> input, const float* gain,
                     float epsilon, Matrix<float> output) {
  const float* row = input.data + blockIdx.x * input.stride;
  double squares = 0.0;
  for (int64_t i = threadIdx.x; i < input.cols; i += kThreads) {
    squares += static_cast<double>(row[i]) * row[i];
  }
  WriteNorm(squares, row, input.cols, gain, epsilon,
            output.data + blockIdx.x * output.stride);
}

// Takes a row per block; a thread norms the sums that it wrote itself.
__global__ void AddNorm(Matrix<const float> x, Matrix<float> accumulator,
                        const float* gain, float epsilon,
                        Matrix<float> output) {
  const float* from = x.data + blockIdx.x * x.stride;
  float* row = accumulator.data + blockIdx.x * accumulator.stride;
  double squares = 0.0;
  for (int64_t i = threadIdx.x; i < x.cols; i += kThreads) {
    const float sum = row[i] + from[i];
    row[i] = sum;
    squares += static_cast<double>(sum) * sum;
  }
  WriteNorm(squares, row, x.cols, gain, epsilon,
            output.data + blockIdx.x * output.stride);
}

__global__ void Gate(Matrix<const float> up, Matrix<float> gate) {
  const int64_t element = Element();
  if (element >= gate.rows * gate.cols) return;
  const int64_t token = element / gate.cols, i = element % gate.cols;
  float& x = gate.data[token * gate.stride + i];
  x = GatedSiluOf(up.data[token * up.stride + i], x);
}

// Adds rows; row_stride 0: the same row to each row.
__global__ void AddTo(const float* x, int64_t row_stride,
                      Matrix<float> accumulator) {
  const int64_t element = Element();
  if (element >= accumulator.rows * accumulator.cols) return;
  const int64_t token = element / accumulator.cols;
  const int64_t i = element % accumulator.cols;
  accumulator.data[token * accumulator.stride + i] += x[token * row_stride + i];
}

}  // namespace

void Linears(Queue* queue, Matrix<const float> input,
             Vector<const DeviceProduct> products) {
  if (input.rows == 0) return;
  if (input.rows <= kFewTokens) {
    return LinearsOfFewTokens(queue, input, products);
  }
  for (const DeviceProduct& product : products) {
    LinearOfManyTokens(queue, input, product.weight, product.output);
  }
}

void GatedLinears(Queue* queue, Matrix<const float> input,
                  const DeviceProduct& up, const DeviceProduct& gate) {
  if (input.rows == 0) return;
  if (input.rows <= kFewTokens && up.weight.format == gate.weight.format) {
    return GatedLinearsOfFewTokens(queue, input, up.weight, gate);
  }
  const DeviceProduct products[] = {gate, up};
  Linears(queue, input, products);
  GatedSilu(queue, up.output, gate.output);
}

void Embed(Queue* queue, const WeightMatrix& table, const int* ids,
           Matrix<float> output) {
  const LaunchShape shape =
      ElementWise(output.rows * CeilDivide(table.cols, 8));
  WithBlockFormat(table.format, [&]<BlockFormat format>() {
    Launch(queue, shape, Expand<format>, WeightBlocks(table), ids, output);
  });
}

void RmsNorm(Queue* queue, Matrix<const float> input, const NormGain& gain,
             Matrix<float> output) {
  Launch(queue, {input.rows, kThreads}, Norm, input, gain.gain, gain.epsilon,
         output);
}

void AddRmsNorm(Queue* queue, Matrix<const float> x, Matrix<float> accumulator,
                const NormGain& gain, Matrix<float> output) {
  Launch(queue, {x.rows, kThreads}, AddNorm, x, accumulator, gain.gain,
         gain.epsilon, output);
}

void GatedSilu(Queue* queue, Matrix<const float> up, Matrix<float> gate) {
  Launch(queue, ElementWise(gate.rows * gate.cols), Gate, up, gate);
}

void Add(Queue* queue, Matrix<const float> x, Matrix<float> accumulator) {
  Launch(queue, ElementWise(x.rows * x.cols), AddTo, x.data, x.stride,
         accumulator);
}

void AddRow(Queue* queue, const float* row, Matrix<float> matrix) {
  Launch(queue, ElementWise(matrix.rows * matrix.cols), AddTo, row, int64_t{0},
         matrix);
}

}  // namespace subgen::cuda
