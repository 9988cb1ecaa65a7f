// Matrix-vector products straight from the blocks: a weight is read once, each
// warp takes two rows and its lanes neighbouring pieces of a row. Products of
// one input share a launch.
#include <algorithm>

#include "kernels/cuda/gated_silu.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/linear.h"
#include "kernels/cuda/warp.h"
#include "kernels/cuda/weight_blocks.h"

namespace subgen::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kRowsOfWarp = 2;
constexpr int kRowsOfBlock = kThreads / kWarp * kRowsOfWarp;
constexpr int kMostProducts = 4;  // of a launch

struct Product {
  WeightBlocks weight;
  Matrix<float> output;
  int64_t blocks = 0;  // of the grid
};
struct ProductList {
  Product each[kMostProducts];
};

// Numbers [column, column + 4) of a token; zero beyond the row.
__device__ __forceinline__ float InputAt(Matrix<const float> input,
                                         int64_t token, int64_t column) {
  return column < input.cols ? input.data[token * input.stride + column] : 0.0f;
}

// sums[row][token] += the products of one piece.
template <int kTokens>
__device__ __forceinline__ void AddPiece(Matrix<const float> input,
                                         const int64_t (&columns)[2],
                                         const float (&weights)[2][8],
                                         float (&sums)[2][kTokens]) {
  for (int token = 0; token < kTokens; ++token) {
    if (token >= input.rows) break;
    for (int i = 0; i < 8; ++i) {
      const float x = InputAt(input, token, columns[i / 4] + i % 4);
      for (int row = 0; row < kRowsOfWarp; ++row) {
        sums[row][token] = fmaf(weights[row][i], x, sums[row][token]);
      }
    }
  }
}

// Products of two rows by one warp, of which all lanes have the sums.
template <BlockFormat format, int kTokens>
__device__ __forceinline__ void MultiplyRows(
    Matrix<const float> input, const uint8_t* const (&rows)[kRowsOfWarp],
    float (&sums)[kRowsOfWarp][kTokens]) {
  using B = Blocks<format>;
  constexpr int kPieces = B::kNumbers / 8;
  const int64_t cols = input.cols, pieces = (cols + 7) / 8;
  for (int64_t at = threadIdx.x % kWarp; at < pieces; at += kWarp) {
    const int64_t block = at / kPieces;
    const int piece = static_cast<int>(at % kPieces);
    const int64_t column = block * B::kNumbers;
    float weights[kRowsOfWarp][8];
    for (int row = 0; row < kRowsOfWarp; ++row) {
      LoadPiece<format>(rows[row] + block * B::kBytes, piece, cols - column,
                        weights[row]);
    }
    const int64_t columns[2] = {column + B::First(piece),
                                column + B::Second(piece)};
    AddPiece<kTokens>(input, columns, weights, sums);
  }
  for (auto& of_row : sums) {
    for (float& sum : of_row) sum = GroupSum(sum);
  }
}

__device__ __forceinline__ int64_t WarpOfGrid(int64_t block) {
  return block * (kThreads / kWarp) + threadIdx.x / kWarp;
}

// Rows 2 i and 2 i + 1 of a weight by warp i.
template <BlockFormat format, int kTokens>
__device__ __forceinline__ void MultiplyPair(Matrix<const float> input,
                                             const Product& product,
                                             int64_t block) {
  const WeightBlocks& weight = product.weight;
  const int64_t first = WarpOfGrid(block) * kRowsOfWarp;
  if (first >= weight.rows) return;  // the whole warp
  const int64_t second = first + 1 < weight.rows ? first + 1 : first;
  const uint8_t* const rows[] = {weight.data + first * weight.row_stride,
                                 weight.data + second * weight.row_stride};
  float sums[kRowsOfWarp][kTokens] = {};
  MultiplyRows<format, kTokens>(input, rows, sums);
  if (threadIdx.x % kWarp != 0) return;
  for (int token = 0; token < kTokens; ++token) {
    if (token >= input.rows) break;
    float* const out =
        product.output.data + token * product.output.stride + first;
    for (int row = 0; row < kRowsOfWarp; ++row) {
      if (first + row < weight.rows) out[row] = sums[row][token];
    }
  }
}

// The blocks of the grid are those of the products, one behind the other.
template <BlockFormat format, int kTokens>
__global__ void __launch_bounds__(kThreads)
    FewTokens(Matrix<const float> input, ProductList products) {
  int64_t block = blockIdx.x;
  int at = 0;
  while (block >= products.each[at].blocks) block -= products.each[at++].blocks;
  MultiplyPair<format, kTokens>(input, products.each[at], block);
}

// Row i of both weights by warp i.
template <BlockFormat format, int kTokens>
__global__ void __launch_bounds__(kThreads)
    FewGatedTokens(Matrix<const float> input, WeightBlocks up,
                   WeightBlocks gate, Matrix<float> output) {
  const int64_t at = WarpOfGrid(blockIdx.x);
  if (at >= gate.rows) return;  // the whole warp
  const uint8_t* const rows[] = {up.data + at * up.row_stride,
                                 gate.data + at * gate.row_stride};
  float sums[kRowsOfWarp][kTokens] = {};
  MultiplyRows<format, kTokens>(input, rows, sums);
  if (threadIdx.x % kWarp != 0) return;
  for (int token = 0; token < kTokens; ++token) {
    if (token >= input.rows) break;
    output.data[token * output.stride + at] =
        GatedSiluOf(sums[0][token], sums[1][token]);
  }
}

// Products of one format, at most kMostProducts.
void LaunchProducts(Queue* queue, Matrix<const float> input,
                    Vector<const DeviceProduct> products) {
  ProductList list;
  LaunchShape shape = {0, kThreads};
  for (size_t i = 0; i < products.size(); ++i) {
    const WeightMatrix& weight = products[i].weight;
    list.each[i] = {WeightBlocks(weight), products[i].output,
                    CeilDivide(weight.rows, kRowsOfBlock)};
    shape.blocks += list.each[i].blocks;
  }
  WithBlockFormat(products[0].weight.format, [&]<BlockFormat format>() {
    const auto kernel = input.rows == 1   ? FewTokens<format, 1>
                        : input.rows <= 4 ? FewTokens<format, 4>
                                          : FewTokens<format, 16>;
    Launch(queue, shape, kernel, input, list);
  });
}

}  // namespace

void LinearsOfFewTokens(Queue* queue, Matrix<const float> input,
                        Vector<const DeviceProduct> products) {
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
  const LaunchShape shape = {CeilDivide(up.rows, kThreads / kWarp), kThreads};
  WithBlockFormat(up.format, [&]<BlockFormat format>() {
    const auto kernel = input.rows == 1   ? FewGatedTokens<format, 1>
                        : input.rows <= 4 ? FewGatedTokens<format, 4>
                                          : FewGatedTokens<format, 16>;
    Launch(queue, shape, kernel, input, WeightBlocks(up),
           WeightBlocks(gate.weight), gate.output);
  });
}

}  // namespace subgen::cuda
