#include "kernels/cuda/attention.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/row_products.h"

namespace subgen::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kWarps = kThreads / kWarp;
// Minus infinity, without <limits> in device code.
#define SUBGEN_NONE (-INFINITY)

// What the threads of a block share while they attend.
struct Tile {
  float queries[kTileQueries][kMostHeadDim];  // later: weighted values
  float partition_logit[kTileQueries][kTileRows];
  float value_logit[kTileQueries][kTileRows];  // later: weights
  float scale[kTileQueries];                   // of the sums so far
  float max[kTileQueries];
  float partition[kTileQueries];
};

// Logits of rows [first, first + kTileRows) of the piece; none beyond its rows
// and where a query does not see a row.
template <RowFormat format>
__device__ void Logits(const AttentionPiece& piece, int first, Tile& tile) {
  for (int at = threadIdx.x / kWarp * kRowsAtOnce; at < kTileRows;
       at += kWarps * kRowsAtOnce) {
    const int in_tile = at + RowOfLane(), row = first + in_tile;
    const bool inside = row < piece.rows;
    float sums[kTileQueries] = {};
    if (inside) {
      Products<format>(piece.keys + row * piece.key_bytes, piece.dim,
                       tile.queries, sums);
    }
    for (int query = 0; query < kTileQueries; ++query) {
      const float logit = GroupSum(sums[query], kLanesOfRow);
      if (query % kLanesOfRow != PartOfLane()) continue;
      const int token = (piece.first_query + query) / piece.group;
      const bool seen =
          inside && query < piece.query_count &&
          (piece.row_token == nullptr || piece.row_token[row] <= token);
      float partition = SUBGEN_NONE, value = SUBGEN_NONE;
      if (seen) {
        partition =
            logit + (piece.partition_bias ? piece.partition_bias[row] : 0.0f);
        if (piece.values != nullptr) {
          value = logit + (piece.value_bias ? piece.value_bias[row] : 0.0f);
        }
      }
      tile.partition_logit[query][in_tile] = partition;
      tile.value_logit[query][in_tile] = value;
    }
  }
}

// Logits to weights, under the largest logit so far. A warp a query.
__device__ void Weigh(Tile& tile) {
  const int lane = threadIdx.x % kWarp;
  for (int query = threadIdx.x / kWarp; query < kTileQueries; query += kWarps) {
    const float* partition = tile.partition_logit[query];
    float* value = tile.value_logit[query];
    float max = SUBGEN_NONE;
    for (int i = lane; i < kTileRows; i += kWarp) {
      max = fmaxf(max, fmaxf(partition[i], value[i]));
    }
    const float before = tile.max[query];
    max = fmaxf(GroupMax(max), before);
    float sum = 0.0f;
    for (int i = lane; i < kTileRows; i += kWarp) {
      if (max == SUBGEN_NONE) {
        value[i] = 0.0f;
        continue;
      }
      sum += expf(partition[i] - max);
      value[i] = expf(value[i] - max);
    }
    sum = GroupSum(sum);
    const float scale = before == SUBGEN_NONE ? 0.0f : expf(before - max);
    __syncwarp();
    if (lane != 0) continue;
    tile.scale[query] = scale;
    tile.max[query] = max;
    tile.partition[query] = tile.partition[query] * scale + sum;
  }
}

// Each thread has 8 numbers of every so-many-th value.
struct ValueShare {
  int first;   // number of the value
  int row;     // first row, >= kTileRows: none
  int stride;  // rows from one to the next
};
__device__ __forceinline__ ValueShare ShareOf(int value_dim) {
  const int threads = (value_dim + kRun - 1) / kRun;
  const int stride =
      kThreads / threads < kTileRows ? kThreads / threads : kTileRows;
  const int row = threadIdx.x / threads;
  return {static_cast<int>(threadIdx.x) % threads * kRun,
          row < stride ? row : kTileRows, stride};
}

template <RowFormat format>
__device__ void AddValues(const AttentionPiece& piece, int first,
                          const Tile& tile, const ValueShare& share,
                          float (&weighted)[kTileQueries][kRun]) {
  for (int query = 0; query < kTileQueries; ++query) {
    for (float& x : weighted[query]) x *= tile.scale[query];
  }
  if (piece.values == nullptr) return;
  for (int at = share.row; at < kTileRows && first + at < piece.rows;
       at += share.stride) {
    float numbers[kRun];
    LoadRow8<format>(piece.values + (first + at) * piece.value_bytes,
                     piece.value_dim, share.first, numbers);
    for (int query = 0; query < kTileQueries; ++query) {
      const float weight = tile.value_logit[query][at];
      if (weight == 0.0f) continue;  // of no say, be the value what it is
      for (int i = 0; i < kRun; ++i) {
        weighted[query][i] = fmaf(weight, numbers[i], weighted[query][i]);
      }
    }
  }
}

// Sums over the threads that share numbers, in the order of their rows.
__device__ void SumValues(const ValueShare& share,
                          const float (&weighted)[kTileQueries][kRun],
                          Tile& tile) {
  for (int turn = 0; turn < share.stride; ++turn) {
    if (turn == share.row) {
      for (int query = 0; query < kTileQueries; ++query) {
        for (int i = 0; i < kRun; ++i) {
          float& sum = tile.queries[query][share.first + i];
          sum = (turn == 0 ? 0.0f : sum) + weighted[query][i];
        }
      }
    }
    __syncthreads();
  }
}

template <RowFormat format>
__global__ void __launch_bounds__(kThreads)
    Attend(const AttentionPiece* pieces) {
  __shared__ Tile tile;
  const AttentionPiece piece = pieces[blockIdx.x];
  if (piece.rows == 0) return;
  LoadQueries(piece.queries, piece.query_stride, piece.query_count, piece.dim,
              tile.queries);
  if (threadIdx.x < kTileQueries) {
    tile.max[threadIdx.x] = SUBGEN_NONE;
    tile.partition[threadIdx.x] = 0.0f;
  }
  __syncthreads();
  const ValueShare share = ShareOf(piece.value_dim);
  float weighted[kTileQueries][kRun] = {};
  for (int first = 0; first < piece.rows; first += kTileRows) {
    Logits<format>(piece, first, tile);
    __syncthreads();
    Weigh(tile);
    __syncthreads();
    AddValues<format>(piece, first, tile, share, weighted);
    __syncthreads();
  }
  SumValues(share, weighted, tile);
  float* const partials = piece.partials + piece.first_query;
  const int query = threadIdx.x;
  if (query < piece.query_count) {
    partials[query] = tile.max[query];
    partials[piece.all_queries + query] = tile.partition[query];
  }
  float* const sums = piece.partials + 2 * piece.all_queries +
                      static_cast<int64_t>(piece.first_query) * piece.value_dim;
  for (int i = threadIdx.x; i < piece.query_count * piece.value_dim;
       i += kThreads) {
    sums[i] = tile.queries[i / piece.value_dim][i % piece.value_dim];
  }
}

// A warp a query: the partials over all sets, in their order, into the target.
__global__ void __launch_bounds__(kThreads) Merge(const MergeTarget* targets) {
  const MergeTarget target = targets[blockIdx.x];
  const int lane = threadIdx.x % kWarp, dim = target.value_dim;
  const int64_t all = target.all_queries, size = all * (2 + dim);
  for (int query = threadIdx.x / kWarp; query < target.query_count;
       query += kWarps) {
    const int64_t at = target.first_query + query;
    const float* const maxima = target.partials + at;
    const float* const partitions = maxima + all;
    const float* const sums = target.partials + 2 * all + at * dim;
    const float before =
        target.from_empty ? SUBGEN_NONE : target.max_logit[query];
    float max = before;
    for (int i = lane; i < target.sets; i += kWarp) {
      max = fmaxf(max, maxima[i * size]);
    }
    max = GroupMax(max);
    // The whole warp: nothing was seen.
    if (max == SUBGEN_NONE && !target.from_empty) continue;
    const float scale = before == SUBGEN_NONE ? 0.0f : expf(before - max);
    float* weighted = target.weighted + query * target.weighted_stride;
    for (int column = lane; column < dim; column += kWarp) {
      float sum = scale == 0.0f ? 0.0f : weighted[column] * scale;
      for (int i = 0; i < target.sets; ++i) {
        const float of_set = maxima[i * size];
        if (of_set == SUBGEN_NONE) continue;
        sum = fmaf(sums[i * size + column], expf(of_set - max), sum);
      }
      weighted[column] = sum;
    }
    float partition = 0.0f;
    for (int i = lane; i < target.sets; i += kWarp) {
      const float of_set = maxima[i * size];
      if (of_set == SUBGEN_NONE) continue;
      partition += partitions[i * size] * expf(of_set - max);
    }
    partition = GroupSum(partition);
    __syncwarp();
    if (lane != 0) continue;
    const float own = scale == 0.0f ? 0.0f : target.partition[query] * scale;
    target.partition[query] = own + partition;
    target.max_logit[query] = max;
  }
}

template <RowFormat format>
__global__ void __launch_bounds__(kThreads) Mass(const MassPiece* pieces) {
  __shared__ float queries[kTileQueries][kMostHeadDim];
  __shared__ float mass[kTileRows];
  const MassPiece piece = pieces[blockIdx.x];
  if (piece.rows == 0) return;
  if (threadIdx.x < kTileRows) mass[threadIdx.x] = 0.0f;
  for (int first = 0; first < piece.query_count; first += kTileQueries) {
    __syncthreads();  // the tile before is done with
    const int count = piece.query_count - first;
    LoadQueries(piece.queries + first * piece.query_stride, piece.query_stride,
                count, piece.dim, queries);
    __syncthreads();
    for (int at = threadIdx.x / kWarp * kRowsAtOnce; at < kTileRows;
         at += kWarps * kRowsAtOnce) {
      const int row = at + RowOfLane();
      const bool inside = row < piece.rows;
      float sums[kTileQueries] = {};
      if (inside) {
        Products<format>(piece.keys + row * piece.key_bytes, piece.dim, queries,
                         sums);
      }
      float of_row = 0.0f;
      for (int query = 0; query < kTileQueries; ++query) {
        const float logit = GroupSum(sums[query], kLanesOfRow);
        if (!inside || query >= count) continue;
        const float log_partition = piece.log_partition[first + query];
        const int token = (first + query) / piece.group;
        if (fabsf(log_partition) == INFINITY ||
            (piece.row_token != nullptr && piece.row_token[row] > token)) {
          continue;
        }
        const float bias = piece.partition_bias ? piece.partition_bias[row] : 0;
        of_row += expf(logit + bias - log_partition);
      }
      if (inside && PartOfLane() == 0) mass[row] += of_row;
    }
  }
  __syncthreads();
  if (static_cast<int>(threadIdx.x) < piece.rows)
    piece.mass[threadIdx.x] += mass[threadIdx.x];
}

}  // namespace

void AttendPieces(Queue* queue, RowFormat format, const AttentionPiece* pieces,
                  int64_t count) {
  WithRowFormat(format, [&]<RowFormat row_format>() {
    Launch(queue, {count, kThreads}, Attend<row_format>, pieces);
  });
}

void MergePieces(Queue* queue, const MergeTarget* targets, int64_t count) {
  Launch(queue, {count, kThreads}, Merge, targets);
}

void AccumulateMassPieces(Queue* queue, RowFormat format,
                          const MassPiece* pieces, int64_t count) {
  WithRowFormat(format, [&]<RowFormat row_format>() {
    Launch(queue, {count, kThreads}, Mass<row_format>, pieces);
  });
}

}  // namespace subgen::cuda
