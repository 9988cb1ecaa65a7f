// Multiplies matrices by few vectors, straight from the blocks. A weight is
// read once: each block of threads takes a few rows, and its threads take
// neighboring pieces of them. Products of one input share a launch.
#include <algorithm>

#include "kernels/cuda/dense/gated_silu.h"
#include "kernels/cuda/dense/linear.h"
#include "kernels/cuda/dense/weight_blocks.h"
#include "kernels/cuda/device/element_wise.h"
#include "kernels/cuda/device/warp.h"
#include "kernels/cuda/runtime/launch.h"

namespace subgen::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kWarps = kThreads / kWarp;
constexpr int kMostProducts = 4;  // per launch

// So many rows share each reading of the input; there are as many as registers
// hold.
template <int kTokens>
inline constexpr int kRowsOfBlock = kTokens <= 4 ? 4 : 2;

struct Product {
  WeightBlocks weight;
  Matrix<float> output;
  int64_t blocks = 0;  // of the grid
};
struct ProductList {
  Product each[kMostProducts];
};

__device__ __forceinline__ void Load4Of(const float* from, float* out) {
  const float4 all = *reinterpret_cast<const float4*>(from);
  out[0] = all.x, out[1] = all.y, out[2] = all.z, out[3] = all.w;
}

// Computes this thread's share of the products of each row and token: the same
// piece of every so-many-th block of weights. Neighboring threads take
// neighboring pieces, so that a warp reads the weight in whole runs.
template <BlockFormat format, int kRows, int kTokens>
__device__ __forceinline__ void MultiplyPieces(
    Matrix<const float> input, const uint8_t* const (&rows)[kRows],
    float (&sums)[kRows][kTokens]) {
  using B = Blocks<format>;
  constexpr int kPieces = B::kNumbers / 8;
  const int piece = threadIdx.x % kPieces;
  const int cols = static_cast<int>(input.cols);
#pragma unroll kTokens == 1 ? 2 : 1
  for (int block = threadIdx.x / kPieces; block * B::kNumbers < cols;
       block += kThreads / kPieces) {
    const int column = block * B::kNumbers;
    float numbers[kRows][8];
    PieceScale scales[kRows];
    for (int row = 0; row < kRows; ++row) {
      scales[row] = LoadUnscaled<format>(rows[row] + block * B::kBytes, piece,
                                         cols - column, numbers[row]);
    }
    for (int token = 0; token < kTokens; ++token) {
      if (kTokens > 1 && token >= input.rows) break;
      const float* const from = input.data + token * input.stride + column;
      float x[8], sum = 0.0f;
      Load4Of(from + B::First(piece), x);
      Load4Of(from + B::Second(piece), x + 4);
      if constexpr (B::kHasMinimum) {
        for (const float each : x) sum += each;
      }
      for (int row = 0; row < kRows; ++row) {
        float product = numbers[row][0] * x[0];
        for (int i = 1; i < 8; ++i) {
          product = fmaf(numbers[row][i], x[i], product);
        }
        float& of_row = sums[row][token];
        of_row = fmaf(scales[row].scale, product, of_row);
        if constexpr (B::kHasMinimum) {
          of_row = fmaf(scales[row].minimum, sum, of_row);
        }
      }
    }
  }
}

// Computes a block's products, [rows][tokens] in `sums`. All threads take part.
// Warps are added in the order of their numbers, so the bits do not depend on
// timing.
template <BlockFormat format, int kRows, int kTokens>
__device__ __forceinline__ void MultiplyRows(
    Matrix<const float> input, const uint8_t* const (&rows)[kRows],
    float (&sums)[kRows][kTokens]) {
  __shared__ float of_warps[kWarps][kRows][kTokens];
  float own[kRows][kTokens] = {};
  MultiplyPieces<format>(input, rows, own);
  for (int row = 0; row < kRows; ++row) {
    for (int token = 0; token < kTokens; ++token) {
      const float sum = GroupSum(own[row][token]);
      if (threadIdx.x % kWarp == 0) {
        of_warps[threadIdx.x / kWarp][row][token] = sum;
      }
    }
  }
  __syncthreads();
  for (int i = threadIdx.x; i < kRows * kTokens; i += kThreads) {
    float sum = 0.0f;
    for (int warp = 0; warp < kWarps; ++warp) {
      sum += of_warps[warp][i / kTokens][i % kTokens];
    }
    sums[i / kTokens][i % kTokens] = sum;
  }
  __syncthreads();
}

// Multiplies: the blocks of the grid are those of the products, one behind the
// other, and each takes some rows of a weight.
template <BlockFormat format, int kTokens>
__global__ void __launch_bounds__(kThreads)
    FewTokens(Matrix<const float> input, ProductList products) {
  constexpr int kRows = kRowsOfBlock<kTokens>;
  __shared__ float sums[kRows][kTokens];
  int64_t block = blockIdx.x;
  int at = 0;
  while (block >= products.each[at].blocks) block -= products.each[at++].blocks;
  const Product& product = products.each[at];
  const WeightBlocks& weight = product.weight;
  const int64_t first = block * kRows;
  const uint8_t* rows[kRows];
  for (int row = 0; row < kRows; ++row) {
    // Beyond the last row the first is taken again, and its products are not
    // stored: the inner loop then needs no branch.
    const int64_t from = first + row < weight.rows ? first + row : first;
    rows[row] = weight.data + from * weight.row_stride;
  }
  MultiplyRows<format>(input, rows, sums);
  for (int i = threadIdx.x; i < kRows * kTokens; i += kThreads) {
    const int row = i % kRows, token = i / kRows;
    if (token >= input.rows || first + row >= weight.rows) continue;
    product.output.data[token * product.output.stride + first + row] =
        sums[row][token];
  }
}

// Multiplies half of a block's rows of each weight, so that one block has both
// numbers that a gated one is made of, and neither goes to memory.
template <BlockFormat format, int kTokens>
__global__ void __launch_bounds__(kThreads)
    FewGatedTokens(Matrix<const float> input, WeightBlocks up,
                   WeightBlocks gate, Matrix<float> output) {
  constexpr int kRows = kRowsOfBlock<kTokens>, kHalf = kRows / 2;
  __shared__ float sums[kRows][kTokens];
  const int64_t first = int64_t{blockIdx.x} * kHalf;
  const uint8_t* rows[kRows];
  for (int row = 0; row < kHalf; ++row) {
    const int64_t from = first + row < gate.rows ? first + row : first;
    rows[row] = up.data + from * up.row_stride;
    rows[kHalf + row] = gate.data + from * gate.row_stride;
  }
  MultiplyRows<format>(input, rows, sums);
  for (int i = threadIdx.x; i < kHalf * kTokens; i += kThreads) {
    const int row = i % kHalf, token = i / kHalf;
    if (token >= input.rows || first + row >= gate.rows) continue;
    output.data[token * output.stride + first + row] =
        GatedSiluOf(sums[row][token], sums[kHalf + row][token]);
  }
}

// Pads rows: those of `to` are as long as their stride, and zero beyond `from`.
__global__ void Pad(Matrix<const float> from, Matrix<float> to) {
  const int64_t element = Element();
  if (element >= to.rows * to.stride) return;
  const int64_t row = element / to.stride, column = element % to.stride;
  to.data[element] =
      column < from.cols ? from.data[row * from.stride + column] : 0.0f;
}

// Returns the tokens where a thread may take 16 bytes at a time up to the end
// of a piece: where they lie already, or in a copy.
Matrix<const float> Aligned(Queue* queue, Matrix<const float> input) {
  const auto address = reinterpret_cast<uintptr_t>(input.data);
  if (address % 16 == 0 && input.stride % 4 == 0 && input.cols % 8 == 0) {
    return input;
  }
  const int64_t stride = CeilDivide(input.cols, 8) * 8;
  const Matrix<float> padded(
      static_cast<float*>(queue->Scratch(input.rows * stride * sizeof(float))),
      input.rows, input.cols, stride);
  Launch(queue, ElementWise(input.rows * stride), Pad, input, padded);
  return padded;
}

// Calls `with` with the number of tokens that a kernel is made for.
template <class With>
void WithTokens(int64_t tokens, With with) {
  if (tokens == 1) return with.template operator()<1>();
  if (tokens <= 4) return with.template operator()<4>();
  with.template operator()<16>();
}

// Launches products of one format, at most kMostProducts.
void LaunchProducts(Queue* queue, Matrix<const float> input,
                    Vector<const DeviceProduct> products) {
  WithTokens(input.rows, [&]<int kTokens>() {
    ProductList list;
    LaunchShape shape = {0, kThreads};
    for (size_t i = 0; i < products.size(); ++i) {
      const WeightMatrix& weight = products[i].weight;
      list.each[i] = {WeightBlocks(weight), products[i].output,
                      CeilDivide(weight.rows, kRowsOfBlock<kTokens>)};
      shape.blocks += list.each[i].blocks;
    }
    WithBlockFormat(products[0].weight.format, [&]<BlockFormat format>() {
      Launch(queue, shape, FewTokens<format, kTokens>, input, list);
    });
  });
}

}  // namespace

void LinearsOfFewTokens(Queue* queue, Matrix<const float> input,
                        Vector<const DeviceProduct> products) {
  input = Aligned(queue, input);
  while (!products.empty()) {
    size_t count = 1;
    while (count < std::min<size_t>(products.size(), kMostProducts) &&
           products[count].weight.format == products[0].weight.format) {
      ++count;
    }
    LaunchProducts(queue, input, products.first(count));
    products = products.subspan(count);
  }
}

void GatedLinearsOfFewTokens(Queue* queue, Matrix<const float> input,
                             const WeightMatrix& up,
                             const DeviceProduct& gate) {
  input = Aligned(queue, input);
  WithTokens(input.rows, [&]<int kTokens>() {
    const LaunchShape shape = {CeilDivide(up.rows, kRowsOfBlock<kTokens> / 2),
                               kThreads};
    WithBlockFormat(up.format, [&]<BlockFormat format>() {
      Launch(queue, shape, FewGatedTokens<format, kTokens>, input,
             WeightBlocks(up), WeightBlocks(gate.weight), gate.output);
    });
  });
}

}  // namespace subgen::cuda
