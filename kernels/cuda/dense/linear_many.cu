// Multiplies matrices on tensor cores. Tokens are rounded to bf16 once. A block
// takes a tile of tokens times rows of the weight, 32 columns at a time. Beside
// the products of these columns it expands the next columns of the weight,
// while those of the tokens are copied.
#include <cuda_pipeline_primitives.h>

#include "kernels/cuda/dense/linear.h"
#include "kernels/cuda/dense/weight_blocks.h"
#include "kernels/cuda/device/async_copy.h"
#include "kernels/cuda/device/element_wise.h"
#include "kernels/cuda/device/tensor_cores.h"
#include "kernels/cuda/device/warp.h"

namespace subgen::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kTokensOfWarp = 32;  // times 64 rows of the weight
constexpr int kRowsOfWarp = 64;
constexpr int kDepth = 32;          // columns at a time
constexpr int kPitch = kDepth + 8;  // of a row in shared memory

// These are tokens in bf16, in rows of whole depths, zero beyond the columns.
struct RoundedTokens {
  const uint16_t* numbers = nullptr;
  int64_t count = 0;
  int64_t stride = 0;
};

// A tile is kTokens times kRows, so that all four warps have their share.
template <int kTileTokens>
struct alignas(16) Tile {
  static constexpr int kTokens = kTileTokens;
  static constexpr int kRows =
      kThreads / kWarp * kTokensOfWarp * kRowsOfWarp / kTokens;
  uint16_t tokens[kTokens][kPitch];
  uint16_t weights[kRows][kPitch];
};

// Stores four numbers at a multiple of 8 bytes.
__device__ __forceinline__ void StoreFour(const float* numbers, uint16_t* to) {
  const uint32_t pairs[2] = {PairOfBF16(numbers[0], numbers[1]),
                             PairOfBF16(numbers[2], numbers[3])};
  void* const at = to;
  memcpy(__builtin_assume_aligned(at, 8), pairs, 8);
}

// Fills columns [column, column + 32) of the tile's rows, in bf16. A thread
// takes the same 8 of every so-many-th row.
template <BlockFormat format, int kRows>
__device__ __forceinline__ void FillWeights(const WeightBlocks& weight,
                                            int64_t first_row, int column,
                                            uint16_t (&tile)[kRows][kPitch]) {
  using B = Blocks<format>;
  constexpr int kPiecesOfRow = kDepth / 8;
  const int place = threadIdx.x % kPiecesOfRow;
  const int block =
      B::kNumbers == 8 ? column / 8 + place : column / B::kNumbers;
  const int piece = B::kNumbers == 8 ? 0 : column % B::kNumbers / 8 + place;
  const int start = block * B::kNumbers, at = start - column;
  const int cols = static_cast<int>(weight.cols);
#pragma unroll 2
  for (int row = threadIdx.x / kPiecesOfRow; row < kRows;
       row += kThreads / kPiecesOfRow) {
    float numbers[8] = {};
    if (first_row + row < weight.rows && start < cols) {
      LoadPiece<format>(weight.data + (first_row + row) * weight.row_stride +
                            int64_t{block} * B::kBytes,
                        piece, cols - start, numbers);
    }
    StoreFour(numbers, &tile[row][at + B::First(piece)]);
    StoreFour(numbers + 4, &tile[row][at + B::Second(piece)]);
  }
}

// Starts to copy the same columns of the tile's tokens, with zeros beyond the
// last, in one group of copies.
template <int kTokens>
__device__ __forceinline__ void CopyTokens(const RoundedTokens& from,
                                           int64_t first_token, int column,
                                           uint16_t (&tile)[kTokens][kPitch]) {
  constexpr int kCopiesOfRow = kDepth * 2 / kCopyBytes;
  const int at = threadIdx.x % kCopiesOfRow * kCopyBytes;
  for (int i = threadIdx.x / kCopiesOfRow; i < kTokens;
       i += kThreads / kCopiesOfRow) {
    const int64_t token = first_token + i;
    const bool inside = token < from.count;
    const uint16_t* const row =
        from.numbers + (inside ? token : 0) * from.stride + column;
    CopyAsync(reinterpret_cast<const uint8_t*>(row) + at,
              inside ? kCopyBytes : 0,
              reinterpret_cast<uint8_t*>(tile[i]) + at);
  }
  __pipeline_commit();
}

// A warp's products of 32 tokens and 64 rows lie by 16 tokens and 8 rows.
using WarpSums = float[kTokensOfWarp / 16][kRowsOfWarp / 8][4];

template <int kTokens>
__device__ __forceinline__ void AddProducts(const Tile<kTokens>& tile,
                                            int token_at, int row_at,
                                            WarpSums& sums) {
  const int lane = threadIdx.x % kWarp, in_matrix = lane % 8;
  const int upper = lane / 8 % 2 * 8, last = lane / 16 * 8;
#pragma unroll
  for (int k = 0; k < kDepth; k += 16) {
    uint32_t left[kTokensOfWarp / 16][4];
#pragma unroll
    for (int i = 0; i < kTokensOfWarp / 16; ++i) {
      LoadMatrices(
          &tile.tokens[token_at + 16 * i + upper + in_matrix][k + last],
          left[i]);
    }
#pragma unroll
    for (int row = 0; row < kRowsOfWarp; row += 16) {
      uint32_t right[4];  // rows [0, 8), then [8, 16): columns [0, 8), [8, 16)
      LoadMatrices(&tile.weights[row_at + row + last + in_matrix][k + upper],
                   right);
#pragma unroll
      for (int i = 0; i < kTokensOfWarp / 16; ++i) {
        AddProduct(left[i], right[0], right[1], sums[i][row / 8]);
        AddProduct(left[i], right[2], right[3], sums[i][row / 8 + 1]);
      }
    }
  }
}

// Stores sums; token, row: those of the warp's first product.
__device__ __forceinline__ void Store(const WarpSums& sums, int64_t token,
                                      int64_t row, Matrix<float> output) {
  const int lane = threadIdx.x % kWarp;
  token += lane / 4;
  row += lane % 4 * 2;
#pragma unroll
  for (int i = 0; i < kTokensOfWarp / 16; ++i) {
#pragma unroll
    for (int j = 0; j < kRowsOfWarp / 8; ++j) {
#pragma unroll
      for (int at = 0; at < 4; ++at) {
        const int64_t to = token + 16 * i + at / 2 * 8;
        const int64_t column = row + 8 * j + at % 2;
        if (to < output.rows && column < output.cols) {
          output.data[to * output.stride + column] = sums[i][j][at];
        }
      }
    }
  }
}

template <BlockFormat format, int kTokens>
__global__ void __launch_bounds__(kThreads)
    ManyTokens(RoundedTokens tokens, WeightBlocks weight, Matrix<float> output,
               int token_tiles) {
  using TileOf = Tile<kTokens>;
  __shared__ TileOf tiles[2];
  const int64_t first_token = int64_t{blockIdx.x % token_tiles} * kTokens;
  const int64_t first_row = int64_t{blockIdx.x / token_tiles} * TileOf::kRows;
  constexpr int kWarpsOfTokens = kTokens / kTokensOfWarp;
  const int warp = threadIdx.x / kWarp;
  const int token_at = warp % kWarpsOfTokens * kTokensOfWarp;
  const int row_at = warp / kWarpsOfTokens * kRowsOfWarp;
  WarpSums sums = {};
  const int cols = static_cast<int>(weight.cols);
  CopyTokens(tokens, first_token, 0, tiles[0].tokens);
  FillWeights<format>(weight, first_row, 0, tiles[0].weights);
  for (int column = 0, at = 0; column < cols; column += kDepth, at ^= 1) {
    __pipeline_wait_prior(0);
    __syncthreads();  // this tile is there, the other one is done with
    if (column + kDepth < cols) {
      TileOf& next = tiles[at ^ 1];
      CopyTokens(tokens, first_token, column + kDepth, next.tokens);
      FillWeights<format>(weight, first_row, column + kDepth, next.weights);
    }
    AddProducts(tiles[at], token_at, row_at, sums);
  }
  Store(sums, first_token + token_at, first_row + row_at, output);
}

// Rounds two numbers per thread; stride: that of `to`.
__global__ void Round(Matrix<const float> from, int64_t stride, uint32_t* to) {
  const int64_t element = Element();
  if (element >= from.rows * (stride / 2)) return;
  const int64_t row = element / (stride / 2), at = element % (stride / 2) * 2;
  const float* const numbers = from.data + row * from.stride + at;
  to[element] = PairOfBF16(at < from.cols ? numbers[0] : 0.0f,
                           at + 1 < from.cols ? numbers[1] : 0.0f);
}

RoundedTokens Rounded(Queue* queue, Matrix<const float> input) {
  const int64_t stride = CeilDivide(input.cols, kDepth) * kDepth;
  auto* const numbers = static_cast<uint32_t*>(
      queue->Scratch(input.rows * stride * sizeof(uint16_t)));
  Launch(queue, ElementWise(input.rows * (stride / 2)), Round, input, stride,
         numbers);
  return {reinterpret_cast<const uint16_t*>(numbers), input.rows, stride};
}

template <BlockFormat format, int kTokens>
void LaunchTiles(Queue* queue, const RoundedTokens& tokens,
                 const WeightMatrix& weight, Matrix<float> output) {
  const int64_t token_tiles = CeilDivide(tokens.count, kTokens);
  const int64_t row_tiles = CeilDivide(weight.rows, Tile<kTokens>::kRows);
  Launch(queue, {token_tiles * row_tiles, kThreads},
         ManyTokens<format, kTokens>, tokens, WeightBlocks(weight), output,
         static_cast<int>(token_tiles));
}

}  // namespace

void LinearOfManyTokens(Queue* queue, Matrix<const float> input,
                        const WeightMatrix& weight, Matrix<float> output) {
  const RoundedTokens tokens = Rounded(queue, input);
  WithBlockFormat(weight.format, [&]<BlockFormat format>() {
    if (tokens.count <= 64) {
      LaunchTiles<format, 64>(queue, tokens, weight, output);
    } else {
      LaunchTiles<format, 128>(queue, tokens, weight, output);
    }
  });
}

}  // namespace subgen::cuda
