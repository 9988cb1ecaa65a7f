// Matrix products on tensor cores: a block takes a tile of 64 rows of the
// weight times 64 tokens, 32 columns at a time. Blocks of the weight are
// expanded to bf16 once for every 64 tokens.
#include <cuda_bf16.h>
#include <mma.h>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/linear.h"
#include "kernels/cuda/weight_blocks.h"

namespace subgen::cuda {
namespace {

using nvcuda::wmma::fragment;

constexpr int kThreads = 128;  // 4 warps, each of 32 rows times 32 tokens
constexpr int kTile = 64;
constexpr int kDepth = 32;          // columns at a time
constexpr int kPitch = kDepth + 8;  // of a row in shared memory

// Of a block's threads; aligned as tensor cores want it.
struct alignas(32) Shared {
  uint16_t weights[kTile][kPitch];
  uint16_t tokens[kTile][kPitch];
  float sums[kTile][kTile + 4];
};

// Columns [column, column + 32) of 64 rows of the weight, bf16.
template <BlockFormat format>
__device__ void LoadWeights(const WeightBlocks& weight, int64_t first_row,
                            int64_t column, uint16_t (&tile)[kTile][kPitch]) {
  using B = Blocks<format>;
  for (int i = threadIdx.x; i < kTile * kDepth / 8; i += kThreads) {
    const int row = i / (kDepth / 8), piece_of_row = i % (kDepth / 8);
    // The piece that has the piece_of_row-th place in these 32 columns.
    const int64_t in_block = column % B::kNumbers;
    const int64_t block =
        B::kNumbers == 8 ? column / 8 + piece_of_row : column / B::kNumbers;
    const int piece =
        B::kNumbers == 8 ? 0 : static_cast<int>(in_block / 8) + piece_of_row;
    const int64_t start = block * B::kNumbers;
    float numbers[8] = {};
    if (first_row + row < weight.rows && start < weight.cols) {
      LoadPiece<format>(weight.data + (first_row + row) * weight.row_stride +
                            block * B::kBytes,
                        piece, weight.cols - start, numbers);
    }
    const int64_t at = start - column;
    for (int j = 0; j < 4; ++j) {
      tile[row][at + B::First(piece) + j] = ToBF16(numbers[j]);
      tile[row][at + B::Second(piece) + j] = ToBF16(numbers[4 + j]);
    }
  }
}

__device__ void LoadTokens(Matrix<const float> input, int64_t first_token,
                           int64_t column, uint16_t (&tile)[kTile][kPitch]) {
  for (int i = threadIdx.x; i < kTile * kDepth; i += kThreads) {
    const int64_t token = first_token + i / kDepth, at = column + i % kDepth;
    const bool inside = token < input.rows && at < input.cols;
    tile[i / kDepth][i % kDepth] =
        inside ? ToBF16(input.data[token * input.stride + at]) : 0;
  }
}

__device__ const __nv_bfloat16* Numbers(const uint16_t* bits) {
  return reinterpret_cast<const __nv_bfloat16*>(bits);
}

template <BlockFormat format>
__global__ void __launch_bounds__(kThreads)
    ManyTokens(Matrix<const float> input, WeightBlocks weight,
               Matrix<float> output, int token_tiles) {
  namespace wmma = nvcuda::wmma;
  __shared__ Shared shared;
  auto& weights = shared.weights;
  auto& tokens = shared.tokens;
  auto& sums = shared.sums;
  const int64_t first_token =
      static_cast<int64_t>(blockIdx.x % token_tiles) * kTile;
  const int64_t first_row =
      static_cast<int64_t>(blockIdx.x / token_tiles) * kTile;
  const int warp = threadIdx.x / 32;
  const int token_at = warp / 2 * 32, row_at = warp % 2 * 32;
  fragment<wmma::accumulator, 16, 16, 16, float> products[2][2];
  for (auto& line : products) {
    for (auto& product : line) wmma::fill_fragment(product, 0.0f);
  }
  for (int64_t column = 0; column < weight.cols; column += kDepth) {
    LoadWeights<format>(weight, first_row, column, weights);
    LoadTokens(input, first_token, column, tokens);
    __syncthreads();
    for (int k = 0; k < kDepth; k += 16) {
      fragment<wmma::matrix_a, 16, 16, 16, __nv_bfloat16, wmma::row_major> a[2];
      fragment<wmma::matrix_b, 16, 16, 16, __nv_bfloat16, wmma::col_major> b[2];
      for (int i = 0; i < 2; ++i) {
        wmma::load_matrix_sync(a[i], Numbers(&tokens[token_at + 16 * i][k]),
                               kPitch);
        wmma::load_matrix_sync(b[i], Numbers(&weights[row_at + 16 * i][k]),
                               kPitch);
      }
      for (int i = 0; i < 2; ++i) {
        for (int j = 0; j < 2; ++j) {
          wmma::mma_sync(products[i][j], a[i], b[j], products[i][j]);
        }
      }
    }
    __syncthreads();
  }
  for (int i = 0; i < 2; ++i) {
    for (int j = 0; j < 2; ++j) {
      wmma::store_matrix_sync(&sums[token_at + 16 * i][row_at + 16 * j],
                              products[i][j], kTile + 4, wmma::mem_row_major);
    }
  }
  __syncthreads();
  for (int i = threadIdx.x; i < kTile * kTile; i += kThreads) {
    const int64_t token = first_token + i / kTile, row = first_row + i % kTile;
    if (token >= input.rows || row >= weight.rows) continue;
    output.data[token * output.stride + row] = sums[i / kTile][i % kTile];
  }
}

}  // namespace

void LinearOfManyTokens(Queue* queue, Matrix<const float> input,
                        const WeightMatrix& weight, Matrix<float> output) {
  const int64_t token_tiles = CeilDivide(input.rows, kTile);
  const LaunchShape shape = {token_tiles * CeilDivide(weight.rows, kTile),
                             kThreads};
  WithBlockFormat(weight.format, [&]<BlockFormat format>() {
    Launch(queue, shape, ManyTokens<format>, input, WeightBlocks(weight),
           output, static_cast<int>(token_tiles));
  });
}

}  // namespace subgen::cuda
