// A warp does this with the 16 queries that it has in registers: it multiplies
// them by a tile of rows, weighs the rows, and keeps the sums so far. All lanes
// call each function together.
#pragma once

#include "kernels/cuda/attention/attention.h"
#include "kernels/cuda/attention/row_tile.h"
#include "kernels/cuda/device/tensor_cores.h"
#include "kernels/cuda/device/warp.h"

namespace subgen::cuda {

inline constexpr int kQueriesOfWarp = 16;
inline constexpr float kLog2E = 1.44269504f;
inline constexpr uint32_t kPairOfOnes = 0x3f803f80;  // bf16

// These say which numbers of a product a lane has (tensor_cores.h).
__device__ __forceinline__ int LaneRow() { return threadIdx.x % kWarp / 4; }
__device__ __forceinline__ int LaneColumn() { return threadIdx.x % 4 * 2; }

// These are a warp's queries and the sums so far. This lane has two queries,
// half 0 and half 1.
template <int kDim>
struct Queries {
  uint32_t numbers[kDim / 16][4];  // left factors
  float weighted[kDim / 8][4];     // sums of products
  float partition[4];              // the same sum in each column
  float max[2];                    // logits
  int token[2];
  int first_token, last_token;  // of the warp; none: last_token < 0
};

template <int kDim>
__device__ __forceinline__ void Load(const AttentionPiece& piece,
                                     Queries<kDim>* queries) {
  const int of_warp = threadIdx.x / kWarp * kQueriesOfWarp;
  const int count = piece.query_count - of_warp;
  const int end = count < kQueriesOfWarp ? count : kQueriesOfWarp;
  const int first = piece.first_query + of_warp;
  queries->first_token = first / piece.group;
  queries->last_token = end <= 0 ? -1 : (first + end - 1) / piece.group;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int query = LaneRow() + 8 * half;
    const float* const from =
        piece.queries + (of_warp + query) * piece.query_stride;
    queries->token[half] = (first + query) / piece.group;
    queries->max[half] = -INFINITY;
#pragma unroll
    for (int i = 0; i < kDim / 8; ++i) {
      const int at = 8 * i + LaneColumn();
      const bool inside = query < count && at < piece.dim;
      queries->numbers[i / 2][half + i % 2 * 2] =
          inside ? PairOfBF16(from[at], from[at + 1]) : 0;
    }
  }
#pragma unroll
  for (int j = 0; j < 4; ++j) {
    queries->partition[j] = 0.0f;
#pragma unroll
    for (auto& sums : queries->weighted) sums[j] = 0.0f;
  }
}

// Logits lie as sums of products do, 8 rows each.
template <int kRows>
using TileLogits = float[kRows / 8][4];

template <int kDim>
__device__ __forceinline__ void Logits(
    const RowTile<kDim>& tile, const Queries<kDim>& queries,
    TileLogits<RowTile<kDim>::kRows>& logits) {
  constexpr int kRows = RowTile<kDim>::kRows;
#pragma unroll
  for (auto& sums : logits) {
#pragma unroll
    for (float& sum : sums) sum = 0.0f;
  }
  const int lane = threadIdx.x % kWarp;
  const int lane_row = lane / 16 * 8 + lane % 8, lane_at = lane / 8 % 2 * 8;
#pragma unroll
  for (int k = 0; k < kDim / 16; ++k) {
#pragma unroll
    for (int row = 0; row < kRows; row += 16) {
      uint32_t right[4];  // rows [0, 8), then [8, 16): columns [0, 8), [8, 16)
      LoadMatrices(&tile.keys[row + lane_row][16 * k + lane_at], right);
      AddProduct(queries.numbers[k], right[0], right[1], logits[row / 8]);
      AddProduct(queries.numbers[k], right[2], right[3], logits[row / 8 + 1]);
    }
  }
}

// Calls each(logit, row in the tile, half of its query) for this lane's logits.
template <int kBlocks, class Each>
__device__ __forceinline__ void ForEachLogit(float (&logits)[kBlocks][4],
                                             Each each) {
#pragma unroll
  for (int block = 0; block < kBlocks; ++block) {
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      each(logits[block][j], 8 * block + LaneColumn() + j % 2, j / 2);
    }
  }
}

// Returns the exponent of the power of two that weights are relative to; it is
// no less than the largest. A power of two scales without rounding, so sums can
// be rescaled exactly, and weights have the same roundings however rows are
// cut.
__device__ __forceinline__ float Exponent(float max) {
  return max == -INFINITY ? 0.0f : ceilf(max * kLog2E);
}

__device__ __forceinline__ float Weight(float logit, float exponent) {
  return exp2f(fmaf(logit, kLog2E, -exponent));
}

// Rescales the sums from the largest logits so far to these.
template <int kDim>
__device__ __forceinline__ void Rescale(const float (&max)[2],
                                        Queries<kDim>* queries) {
  float scale[2];
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const float before = queries->max[half];
    scale[half] = before == -INFINITY
                      ? 1.0f
                      : exp2f(Exponent(before) - Exponent(max[half]));
    queries->max[half] = max[half];
  }
  // The whole warp rescales, or none of it; where no exponent has grown, the
  // sums are left alone.
  if (!__any_sync(kAllLanes, scale[0] != 1.0f || scale[1] != 1.0f)) return;
#pragma unroll
  for (int j = 0; j < 4; ++j) {
    queries->partition[j] *= scale[j / 2];
#pragma unroll
    for (auto& sums : queries->weighted) sums[j] *= scale[j / 2];
  }
}

// Computes the weights of 16 rows as a left factor. `bias`: of the first row,
// or null.
__device__ __forceinline__ void Weights(const float (&logits)[4],
                                        const float (&next)[4],
                                        const float* bias,
                                        const float (&exponent)[2],
                                        uint32_t (&weights)[4]) {
  float x[8];
#pragma unroll
  for (int j = 0; j < 4; ++j) {
    x[j] = logits[j];
    x[4 + j] = next[j];
  }
  if (bias != nullptr) {
#pragma unroll
    for (int j = 0; j < 8; ++j) x[j] += bias[j / 4 * 8 + LaneColumn() + j % 2];
  }
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    weights[i] = PairOfBF16(Weight(x[2 * i], exponent[i % 2]),
                            Weight(x[2 * i + 1], exponent[i % 2]));
  }
}

// Adds weights times values, of rows [row, row + 16) of the tile.
template <int kDim>
__device__ __forceinline__ void AddValues(const RowTile<kDim>& tile, int row,
                                          const uint32_t (&weights)[4],
                                          Queries<kDim>* queries) {
  const int lane = threadIdx.x % kWarp;
  const int lane_row = lane % 16, lane_at = lane / 16 * 8;
#pragma unroll
  for (int i = 0; i < kDim / 8; i += 2) {
    uint32_t right[4];  // columns [0, 8), then [8, 16): rows [0, 8), [8, 16)
    LoadTransposes(&tile.values[row + lane_row][8 * i + lane_at], right);
    AddProduct(weights, right[0], right[1], queries->weighted[i]);
    AddProduct(weights, right[2], right[3], queries->weighted[i + 1]);
  }
}

// Says which weights a piece has.
struct WeightKinds {
  bool values;      // are weighted at all
  bool two_biases;  // weights of values are others than those of the partition

  __device__ explicit WeightKinds(const AttentionPiece& piece)
      : values(piece.values != nullptr),
        two_biases(values && piece.value_bias != piece.partition_bias) {}
};

// Sets max to no less than any logit so far, biases included.
template <int kDim>
__device__ __forceinline__ void LargestLogits(
    const RowTile<kDim>& tile, bool two_biases,
    TileLogits<RowTile<kDim>::kRows>& logits, float (&max)[2]) {
  ForEachLogit(logits, [&](float& logit, int row, int half) {
    float x = logit;
    if (two_biases) {
      x += fmaxf(tile.partition_bias[row], tile.value_bias[row]);
    }
    max[half] = fmaxf(max[half], x);
  });
  for (float& x : max) x = GroupMax(x, 4);
}

template <int kDim>
__device__ __forceinline__ void Attend(const AttentionPiece& piece,
                                       const RowTile<kDim>& tile,
                                       Queries<kDim>* queries) {
  constexpr int kRows = RowTile<kDim>::kRows;
  const WeightKinds kinds(piece);
  TileLogits<kRows> logits;
  Logits(tile, *queries, logits);
  if (!kinds.two_biases && piece.partition_bias != nullptr) {
    ForEachLogit(logits, [&](float& logit, int row, int) {
      logit += tile.partition_bias[row];
    });
  }
  if (tile.token[kRows - 1] > queries->first_token) {
    ForEachLogit(logits, [&](float& logit, int row, int half) {
      if (tile.token[row] > queries->token[half]) logit = -INFINITY;
    });
  }
  float max[2] = {queries->max[0], queries->max[1]};
  LargestLogits(tile, kinds.two_biases, logits, max);
  Rescale(max, queries);
  const float exponent[2] = {Exponent(max[0]), Exponent(max[1])};
#pragma unroll
  for (int row = 0; row < kRows; row += 16) {
    const auto& low = logits[row / 8];
    const auto& high = logits[row / 8 + 1];
    uint32_t weights[4];
    Weights(low, high, kinds.two_biases ? &tile.partition_bias[row] : nullptr,
            exponent, weights);
    // The partition is a product with ones: it then sums the rounded weights,
    // those that the values get, and a row that has all the weight comes back
    // as it is stored.
    AddProduct(weights, kPairOfOnes, kPairOfOnes, queries->partition);
    if (!kinds.values) continue;
    if (kinds.two_biases) {
      Weights(low, high, &tile.value_bias[row], exponent, weights);
    }
    AddValues(tile, row, weights, queries);
  }
}

// Stores the partials relative to the largest logit itself, as SoftmaxPartials
// are.
template <int kDim>
__device__ __forceinline__ void Store(const AttentionPiece& piece,
                                      const Queries<kDim>& queries) {
  const int all = piece.all_queries;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int query =
        threadIdx.x / kWarp * kQueriesOfWarp + LaneRow() + 8 * half;
    if (query >= piece.query_count) continue;
    const int at = piece.first_query + query;
    const float max = queries.max[half];
    const float scale =
        max == -INFINITY ? 1.0f : exp2f(Exponent(max) - max * kLog2E);
    if (LaneColumn() == 0) {
      piece.partials[at] = max;
      piece.partials[all + at] = queries.partition[2 * half] * scale;
    }
    float* const weighted =
        piece.partials + 2 * all + static_cast<int64_t>(at) * piece.value_dim;
#pragma unroll
    for (int i = 0; i < kDim / 8; ++i) {
      const int column = 8 * i + LaneColumn();
      if (column >= piece.value_dim) continue;
      const float2 pair = {queries.weighted[i][2 * half] * scale,
                           queries.weighted[i][2 * half + 1] * scale};
      *reinterpret_cast<float2*>(weighted + column) = pair;
    }
  }
}

}  // namespace subgen::cuda
