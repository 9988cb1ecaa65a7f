#include "kernels/cuda/dense.h"
#include "kernels/cuda/element_wise.h"
#include "kernels/cuda/linear.h"
#include "kernels/cuda/warp.h"
#include "kernels/cuda/weight_blocks.h"

namespace subgen::cuda {
namespace {

constexpr int kThreads = 256;  // of a block that takes a row

template <BlockFormat format>
__global__ void Expand(WeightMatrix rows, Matrix<float> output) {
  using B = Blocks<format>;
  const int64_t pieces = (rows.cols + 7) / 8;
  const int64_t element = Element();
  if (element >= output.rows * pieces) return;
  const int64_t row = element / pieces, at = element % pieces;
  constexpr int kPieces = B::kNumbers / 8;
  const int64_t start = at / kPieces * B::kNumbers;
  const int piece = static_cast<int>(at % kPieces);
  float numbers[8];
  LoadPiece<format>(reinterpret_cast<const uint8_t*>(rows.data) +
                        row * rows.row_stride + at / kPieces * B::kBytes,
                    piece, rows.cols - start, numbers);
  float* out = output.data + row * output.stride + start;
  for (int i = 0; i < 4; ++i) {
    const int first = B::First(piece) + i, second = B::Second(piece) + i;
    if (start + first < rows.cols) out[first] = numbers[i];
    if (start + second < rows.cols) out[second] = numbers[4 + i];
  }
}

// A block a row.
__global__ void Norm(Matrix<const float> input, const float* gain,
                     float epsilon, Matrix<float> output) {
  __shared__ double sums[kThreads / kWarp];
  const float* row = input.data + blockIdx.x * input.stride;
  double squares = 0.0;
  for (int64_t i = threadIdx.x; i < input.cols; i += kThreads) {
    squares += static_cast<double>(row[i]) * row[i];
  }
  squares = GroupSum(squares);
  if (threadIdx.x % kWarp == 0) sums[threadIdx.x / kWarp] = squares;
  __syncthreads();
  double sum = 0.0;
  for (const double part : sums) sum += part;
  const double scale = 1.0 / sqrt(sum / input.cols + epsilon);
  float* out = output.data + blockIdx.x * output.stride;
  for (int64_t i = threadIdx.x; i < input.cols; i += kThreads) {
    out[i] = static_cast<float>(row[i] * scale * gain[i]);
  }
}

// A thread a pair of a head.
__global__ void Turn(RotaryAngles rotary, const int64_t* positions,
                     int64_t head_dim, Matrix<float> heads) {
  const int64_t of_row = heads.cols / head_dim * rotary.pairs;
  const int64_t element = Element();
  if (element >= heads.rows * of_row) return;
  const int64_t token = element / of_row;
  const int64_t head = element % of_row / rotary.pairs;
  const int pair = static_cast<int>(element % rotary.pairs);
  const double angle = positions[token] * rotary.inverse_frequency[pair];
  const double cosine = cos(angle) * rotary.magnitude;
  const double sine = sin(angle) * rotary.magnitude;
  float* of_head = heads.data + token * heads.stride + head * head_dim;
  float& x = of_head[rotary.interleaved ? 2 * pair : pair];
  float& y = of_head[rotary.interleaved ? 2 * pair + 1 : pair + rotary.pairs];
  const double turned_x = x * cosine - y * sine;
  const double turned_y = x * sine + y * cosine;
  x = static_cast<float>(turned_x);
  y = static_cast<float>(turned_y);
}

__global__ void Gate(Matrix<const float> up, Matrix<float> gate) {
  const int64_t element = Element();
  if (element >= gate.rows * gate.cols) return;
  const int64_t token = element / gate.cols, i = element % gate.cols;
  float& x = gate.data[token * gate.stride + i];
  x = x / (1.0f + expf(-x)) * up.data[token * up.stride + i];
}

// row_stride 0: the same row to each row.
__global__ void AddTo(const float* x, int64_t row_stride,
                      Matrix<float> accumulator) {
  const int64_t element = Element();
  if (element >= accumulator.rows * accumulator.cols) return;
  const int64_t token = element / accumulator.cols;
  const int64_t i = element % accumulator.cols;
  accumulator.data[token * accumulator.stride + i] += x[token * row_stride + i];
}

}  // namespace

void Linear(cudaStream_t stream, Matrix<const float> input,
            const WeightMatrix& weight, Matrix<float> output) {
  if (input.rows == 0 || weight.rows == 0) return;
  if (input.rows <= kFewTokens) {
    LinearOfFewTokens(stream, input, weight, output);
  } else {
    LinearOfManyTokens(stream, input, weight, output);
  }
}

void Dequantize(cudaStream_t stream, const WeightMatrix& rows,
                Matrix<float> output) {
  const LaunchShape shape = ElementWise(output.rows * CeilDivide(rows.cols, 8));
  WithBlockFormat(rows.format, [&]<BlockFormat format>() {
    Launch(stream, shape, Expand<format>, rows, output);
  });
}

void RmsNorm(cudaStream_t stream, Matrix<const float> input, const float* gain,
             float epsilon, Matrix<float> output) {
  Launch(stream, {input.rows, kThreads}, Norm, input, gain, epsilon, output);
}

void Rotate(cudaStream_t stream, const RotaryAngles& rotary,
            const int64_t* positions, int64_t head_dim, Matrix<float> heads) {
  Launch(stream,
         ElementWise(heads.rows * (heads.cols / head_dim) * rotary.pairs), Turn,
         rotary, positions, head_dim, heads);
}

void GatedSilu(cudaStream_t stream, Matrix<const float> up,
               Matrix<float> gate) {
  Launch(stream, ElementWise(gate.rows * gate.cols), Gate, up, gate);
}

void Add(cudaStream_t stream, Matrix<const float> x,
         Matrix<float> accumulator) {
  Launch(stream, ElementWise(x.rows * x.cols), AddTo, x.data, x.stride,
         accumulator);
}

void AddRow(cudaStream_t stream, const float* row, Matrix<float> matrix) {
  Launch(stream, ElementWise(matrix.rows * matrix.cols), AddTo, row, int64_t{0},
         matrix);
}

}  // namespace subgen::cuda
