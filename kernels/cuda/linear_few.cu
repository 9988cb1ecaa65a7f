// Matrix-vector products straight from the blocks: a weight is read once, each
// warp takes two rows and its lanes neighbouring pieces of a row. Products of
// one input share a launch.
#include <algorithm>

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

// Two rows of a weight by one warp.
template <BlockFormat format, int kTokens>
__device__ __forceinline__ void MultiplyRows(Matrix<const float> input,
                                             const WeightBlocks& weight,
                                             int64_t block_of_grid,
                                             Matrix<float> output) {
  using B = Blocks<format>;
  constexpr int kPieces = B::kNumbers / 8;
  const int lane = threadIdx.x % kWarp;
  const int64_t first =
      block_of_grid * kRowsOfBlock + threadIdx.x / kWarp * kRowsOfWarp;
  if (first >= weight.rows) return;  // the whole warp
  const int64_t second = first + 1 < weight.rows ? first + 1 : first;
  const uint8_t* rows[2] = {weight.data + first * weight.row_stride,
                            weight.data + second * weight.row_stride};
  float sums[kRowsOfWarp][kTokens] = {};
  const int64_t pieces = (weight.cols + 7) / 8;
  for (int64_t at = lane; at < pieces; at += kWarp) {
    const int64_t block = at / kPieces;
    const int piece = static_cast<int>(at % kPieces);
    const int64_t column = block * B::kNumbers;
    float weights[kRowsOfWarp][8];
    for (int row = 0; row < kRowsOfWarp; ++row) {
      LoadPiece<format>(rows[row] + block * B::kBytes, piece,
                        weight.cols - column, weights[row]);
    }
    const int64_t columns[2] = {column + B::First(piece),
                                column + B::Second(piece)};
    AddPiece<kTokens>(input, columns, weights, sums);
  }
  for (int row = 0; row < kRowsOfWarp; ++row) {
    for (int token = 0; token < kTokens; ++token) {
      const float sum = GroupSum(sums[row][token]);
      if (lane == 0 && token < input.rows && first + row < weight.rows) {
        output.data[token * output.stride + first + row] = sum;
      }
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
  const Product& product = products.each[at];
  MultiplyRows<format, kTokens>(input, product.weight, block, product.output);
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

}  // namespace subgen::cuda
