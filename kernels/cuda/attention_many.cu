// Attention of many queries on tensor cores: a block takes 64 queries, a warp
// 16 of them, over the rows of its piece, as FlashAttention-2 does (Dao, arXiv
// 2307.08691): logits, weights and weighted values stay in registers.
//
// Queries, rows and weights are rounded to bf16, sums are float32. A weight is
// rounded relative to a power of two, and both sums are of rounded weights: so
// the roundings are the same however the rows are cut into tiles, pieces and
// ranks, and a set of one row gives its value as it is.
#include "kernels/cuda/attention_many.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/row_tile.h"
#include "kernels/cuda/warp.h"

namespace subgen::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kQueriesOfWarp = 16;
static_assert(kManyQueries == kThreads / kWarp * kQueriesOfWarp);
constexpr float kLog2E = 1.44269504f;
constexpr uint32_t kPairOfOnes = 0x3f803f80;  // bf16

// Which numbers of a product a lane has (tensor_cores.h).
__device__ __forceinline__ int LaneRow() { return threadIdx.x % kWarp / 4; }
__device__ __forceinline__ int LaneColumn() { return threadIdx.x % 4 * 2; }

// A warp's queries and what was summed so far: of this lane's two queries, half
// 0 and half 1.
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

// Logits of 16 rows a pair, in the order of the sums of products.
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

// logit[row] for each of this lane's, with its row in the tile.
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

// Whose powers of two weights are relative to: no less than the largest logit.
__device__ __forceinline__ float Exponent(float max) {
  return max == -INFINITY ? 0.0f : ceilf(max * kLog2E);
}

__device__ __forceinline__ float Weight(float logit, float exponent) {
  return exp2f(fmaf(logit, kLog2E, -exponent));
}

// From the largest logits so far to these.
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
  // The whole warp or none of it.
  if (!__any_sync(kAllLanes, scale[0] != 1.0f || scale[1] != 1.0f)) return;
#pragma unroll
  for (int j = 0; j < 4; ++j) {
    queries->partition[j] *= scale[j / 2];
#pragma unroll
    for (auto& sums : queries->weighted) sums[j] *= scale[j / 2];
  }
}

// Weights of 16 rows as a left factor. `bias`: of the first row, or null.
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

// weighted += weights values, of rows [row, row + 16) of the tile.
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

template <int kDim>
__device__ __forceinline__ void Attend(const AttentionPiece& piece,
                                       const RowTile<kDim>& tile,
                                       Queries<kDim>* queries) {
  constexpr int kRows = RowTile<kDim>::kRows;
  TileLogits<kRows> logits;
  Logits(tile, *queries, logits);
  const bool has_values = piece.values != nullptr;
  const bool two_biases =
      has_values && piece.value_bias != piece.partition_bias;
  if (!two_biases && piece.partition_bias != nullptr) {
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
  ForEachLogit(logits, [&](float& logit, int row, int half) {
    float bias = 0.0f;
    if (two_biases)
      bias = fmaxf(tile.partition_bias[row], tile.value_bias[row]);
    max[half] = fmaxf(max[half], logit + bias);
  });
  for (float& x : max) x = GroupMax(x, 4);
  Rescale(max, queries);
  const float exponent[2] = {Exponent(max[0]), Exponent(max[1])};
#pragma unroll
  for (int row = 0; row < kRows; row += 16) {
    const auto& low = logits[row / 8];
    const auto& high = logits[row / 8 + 1];
    uint32_t weights[4];
    Weights(low, high, two_biases ? &tile.partition_bias[row] : nullptr,
            exponent, weights);
    AddProduct(weights, kPairOfOnes, kPairOfOnes, queries->partition);
    if (!has_values) continue;
    if (two_biases)
      Weights(low, high, &tile.value_bias[row], exponent, weights);
    AddValues(tile, row, weights, queries);
  }
}

// How many tiles have a row that the token sees. Every warp finds the same.
template <int kRows>
__device__ __forceinline__ int VisibleTiles(const AttentionPiece& piece,
                                            int token) {
  const int all = (piece.rows + kRows - 1) / kRows;
  if (piece.row_token == nullptr) return all;
  int visible = 0;
  for (int first = 0; first < all; first += kWarp) {
    const int tile = first + threadIdx.x % kWarp;
    const bool sees = tile < all && piece.row_token[tile * kRows] <= token;
    visible += GroupSum(sees ? 1 : 0);
    if (visible < first + kWarp) break;
  }
  return visible;
}

// Relative to the largest logit itself.
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

template <int kDim, bool as_they_are>
__global__ void __launch_bounds__(kThreads)
    AttendMany(const AttentionPiece* pieces, RowFormat format) {
  constexpr int kRows = RowTile<kDim>::kRows;
  __shared__ RowTile<kDim> tiles[2];
  const AttentionPiece piece = pieces[blockIdx.x];
  if (piece.rows == 0) return;
  Queries<kDim> queries;
  Load(piece, &queries);
  const int last = piece.first_query + piece.query_count - 1;
  const int count = VisibleTiles<kRows>(piece, last / piece.group);
  if (count > 0) FillTile<kThreads, as_they_are>(piece, format, 0, tiles[0]);
  for (int i = 0; i < count; ++i) {
    __pipeline_wait_prior(0);
    __syncthreads();  // tile i is there, and tile i - 1 is done with
    if (i + 1 < count) {
      FillTile<kThreads, as_they_are>(piece, format, (i + 1) * kRows,
                                      tiles[(i + 1) % 2]);
    }
    if (tiles[i % 2].token[0] <= queries.last_token) {
      Attend(piece, tiles[i % 2], &queries);
    }
  }
  Store(piece, queries);
}

}  // namespace

void AttendManyQueries(Queue* queue, RowFormat format,
                       const AttentionPieces& pieces) {
  const LaunchShape shape = {pieces.count, kThreads};
  const auto launch = [&]<int kDim>() {
    Launch(queue, shape,
           format == RowFormat::kBF16 ? AttendMany<kDim, true>
                                      : AttendMany<kDim, false>,
           pieces.pieces, format);
  };
  if (pieces.head_dim <= 64) return launch.template operator()<64>();
  if (pieces.head_dim <= 96) return launch.template operator()<96>();
  if (pieces.head_dim <= 128) return launch.template operator()<128>();
  if (pieces.head_dim <= 192) return launch.template operator()<192>();
  launch.template operator()<256>();
}

}  // namespace subgen::cuda
