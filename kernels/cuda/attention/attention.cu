#include "kernels/cuda/attention/attention.h"
#include "kernels/cuda/attention/stored_tile.h"
#include "kernels/cuda/device/row_products.h"
#include "kernels/cuda/runtime/launch.h"

namespace subgen::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kWarps = kThreads / kWarp;
// This is minus infinity, without <limits> in device code.
#define SUBGEN_NONE (-INFINITY)

constexpr int kPitch = kTileRows + 4;  // no two lanes share a bank

// The threads of a block share this while they attend, for up to kQueries
// queries. It stays under the 48 KB that a kernel may have without asking. Some
// arrays serve twice, as their first use has ended by then.
template <int kQueries>
struct Work {
  StoredTile tiles[2];
  float queries[kQueries][kMostHeadDim];  // later: weighted values
  float partition_logit[kQueries][kPitch];
  float value_logit[kQueries][kPitch];  // later: weights
  float scale[kQueries];                // of the sums so far
  float max[kQueries];
  float partition[kQueries];
};

// Computes the logits of the rows of a tile; they are -inf where a query does
// not see a row. A warp takes two times four rows, which share each reading of
// the queries. Eight lanes share a row, and each ends up with the sum of one
// query, because that takes fewer exchanges than if each had all sums
// (row_products.h).
template <RowFormat format, int kQueries>
__device__ __forceinline__ void Logits(const AttentionPiece& piece,
                                       const RowsInTile& rows,
                                       const StoredTile& tile,
                                       Work<kQueries>& work) {
  constexpr int kTurns = 2;
  const uint8_t* const all_keys = tile.bytes + rows.keys;
  const int key_bytes = static_cast<int>(piece.key_bytes), dim = piece.dim;
  const bool has_values = piece.values != nullptr;
  const int query = QueryOfLane<kQueries>();
  const bool inside = query < piece.query_count;
  const int token = (piece.first_query + query) / piece.group;
  const bool writes = PartOfLane() % kLanesOfQuery<kQueries> == 0;
#pragma unroll 1
  for (int at = threadIdx.x / kWarp * kTurns * kRowsAtOnce; at < rows.count;
       at += kWarps * kTurns * kRowsAtOnce) {
    const uint8_t* keys[kTurns];
    int in_tile[kTurns];
    for (int turn = 0; turn < kTurns; ++turn) {
      const int row = in_tile[turn] = at + turn * kRowsAtOnce + RowOfLane();
      keys[turn] = all_keys + (row < rows.count ? row * key_bytes : 0);
    }
    float sums[kTurns][kQueries];
    Products<format>(keys, dim, work.queries, sums);
    for (int turn = 0; turn < kTurns; ++turn) {
      const float logit = SumOfQuery(sums[turn]);
      const int row = in_tile[turn];
      if (!writes || row >= rows.count) continue;
      const bool seen = inside && tile.token[row] <= token;
      work.partition_logit[query][row] =
          seen ? logit + tile.partition_bias[row] : SUBGEN_NONE;
      work.value_logit[query][row] =
          seen && has_values ? logit + tile.value_bias[row] : SUBGEN_NONE;
    }
  }
}

// Converts logits to weights, relative to the largest logit so far. A warp
// takes a query.
template <int kQueries>
__device__ __forceinline__ void Weigh(int rows, Work<kQueries>& work) {
  const int lane = threadIdx.x % kWarp;
  for (int query = threadIdx.x / kWarp; query < kQueries; query += kWarps) {
    const float* partition = work.partition_logit[query];
    float* value = work.value_logit[query];
    float max = SUBGEN_NONE;
    for (int i = lane; i < rows; i += kWarp) {
      max = fmaxf(max, fmaxf(partition[i], value[i]));
    }
    const float before = work.max[query];
    max = fmaxf(GroupMax(max), before);
    float sum = 0.0f;
    for (int i = lane; i < rows; i += kWarp) {
      // The query has seen nothing yet: -inf - -inf would be a NaN.
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
    work.scale[query] = scale;
    work.max[query] = max;
    work.partition[query] = work.partition[query] * scale + sum;
  }
}

// Each thread adds up 8 numbers of every so-many-th value, for some of the
// queries: few enough for its registers.
template <int kQueries>
inline constexpr int kShareQueries = kQueries < 4 ? kQueries : 4;
template <int kQueries>
using ValueSums = float[kShareQueries<kQueries>][kRun];

struct ValueShare {
  int first;        // number of the value
  int first_query;  // of the tile
  int row;          // first row, >= kTileRows: none
  int stride;       // rows from one to the next
};
template <int kQueries>
__device__ __forceinline__ ValueShare ShareOf(int value_dim) {
  constexpr int kParts = kQueries / kShareQueries<kQueries>;
  const int runs = (value_dim + kRun - 1) / kRun;
  const int most = kThreads / (runs * kParts);
  const int stride = most < kTileRows ? most : kTileRows;
  const int thread = threadIdx.x, row = thread / (runs * kParts);
  return {thread % runs * kRun,
          thread / runs % kParts * kShareQueries<kQueries>,
          row < stride ? row : kTileRows, stride};
}

template <RowFormat format, int kQueries>
__device__ __forceinline__ void AddValues(const AttentionPiece& piece,
                                          const RowsInTile& rows,
                                          const StoredTile& tile,
                                          const ValueShare& share,
                                          const Work<kQueries>& work,
                                          ValueSums<kQueries>& sums) {
  constexpr int kShare = kShareQueries<kQueries>;
  for (int query = 0; query < kShare; ++query) {
    for (float& x : sums[query]) x *= work.scale[share.first_query + query];
  }
  if (piece.values == nullptr) return;
  const uint8_t* const values = tile.bytes + rows.values;
  const int value_bytes = static_cast<int>(piece.value_bytes);
  const int dim = piece.value_dim;
#pragma unroll 1
  for (int at = share.row; at < rows.count; at += share.stride) {
    float numbers[kRun];
    LoadRow8<format>(values + at * value_bytes, dim, share.first, numbers);
    for (int query = 0; query < kShare; ++query) {
      const float weight = work.value_logit[share.first_query + query][at];
      if (weight == 0.0f) continue;  // whatever the value is
      for (int i = 0; i < kRun; ++i) {
        sums[query][i] = fmaf(weight, numbers[i], sums[query][i]);
      }
    }
  }
}

// Adds the sums of the threads that share numbers, in the order of their rows:
// the order does not depend on timing, so the bits do not either.
template <int kQueries>
__device__ __forceinline__ void SumValues(const ValueShare& share,
                                          const ValueSums<kQueries>& sums,
                                          Work<kQueries>& work) {
  for (int turn = 0; turn < share.stride; ++turn) {
    if (turn == share.row) {
      for (int query = 0; query < kShareQueries<kQueries>; ++query) {
        float* const all =
            &work.queries[share.first_query + query][share.first];
        for (int i = 0; i < kRun; ++i) {
          all[i] = (turn == 0 ? 0.0f : all[i]) + sums[query][i];
        }
      }
    }
    __syncthreads();
  }
}

// Goes through the tiles of a piece. While the block works on a tile, the next
// one is on its way, so that memory is kept busy.
template <RowFormat format, int kQueries>
__device__ __forceinline__ void AttendToRows(const AttentionPiece& piece,
                                             const ValueShare& share,
                                             Work<kQueries>& work,
                                             ValueSums<kQueries>& sums) {
  const int most =
      RowsOfTile(piece.key_bytes + (piece.values ? piece.value_bytes : 0));
  RowsInTile next = FillTile<kThreads>(piece, 0, most, work.tiles[0]);
  for (int first = 0, tile = 0; first < piece.rows; first += most, tile ^= 1) {
    const RowsInTile rows = next;
    if (first + most < piece.rows) {
      next =
          FillTile<kThreads>(piece, first + most, most, work.tiles[tile ^ 1]);
      // The group of copies that was opened last may still be on its way; the
      // tile at hand is there.
      __pipeline_wait_prior(1);
    } else {
      __pipeline_wait_prior(0);
    }
    __syncthreads();
    Logits<format>(piece, rows, work.tiles[tile], work);
    __syncthreads();
    Weigh(rows.count, work);
    __syncthreads();
    AddValues<format>(piece, rows, work.tiles[tile], share, work, sums);
    __syncthreads();
  }
}

template <int kQueries>
__global__ void __launch_bounds__(kThreads, 4)
    Attend(const AttentionPiece* pieces) {
  __shared__ Work<kQueries> work;
  const AttentionPiece& piece = pieces[blockIdx.x];
  if (piece.rows == 0) return;
  LoadQueries(piece.queries, piece.query_stride, piece.query_count, piece.dim,
              work.queries);
  if (threadIdx.x < kQueries) {
    work.max[threadIdx.x] = SUBGEN_NONE;
    work.partition[threadIdx.x] = 0.0f;
  }
  const ValueShare share = ShareOf<kQueries>(piece.value_dim);
  ValueSums<kQueries> sums = {};
  switch (piece.format) {
    case RowFormat::kF32:
      AttendToRows<RowFormat::kF32>(piece, share, work, sums);
      break;
    case RowFormat::kBF16:
      AttendToRows<RowFormat::kBF16>(piece, share, work, sums);
      break;
    case RowFormat::kF16:
      AttendToRows<RowFormat::kF16>(piece, share, work, sums);
      break;
    case RowFormat::kQ8:
      AttendToRows<RowFormat::kQ8>(piece, share, work, sums);
      break;
    case RowFormat::kQ4:
      AttendToRows<RowFormat::kQ4>(piece, share, work, sums);
      break;
    case RowFormat::kQ3:
      AttendToRows<RowFormat::kQ3>(piece, share, work, sums);
      break;
  }
  SumValues(share, sums, work);
  float* const partials = piece.partials + piece.first_query;
  const int query = threadIdx.x;
  if (query < piece.query_count) {
    partials[query] = work.max[query];
    partials[piece.all_queries + query] = work.partition[query];
  }
  float* const weighted =
      piece.partials + 2 * piece.all_queries +
      static_cast<int64_t>(piece.first_query) * piece.value_dim;
  for (int i = threadIdx.x; i < piece.query_count * piece.value_dim;
       i += kThreads) {
    weighted[i] = work.queries[i / piece.value_dim][i % piece.value_dim];
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
      const uint8_t* const keys[1] = {piece.keys +
                                      (inside ? row * piece.key_bytes : 0)};
      float sums[1][kTileQueries];
      Products<format>(keys, piece.dim, queries, sums);
      float of_row = 0.0f;
      for (int query = 0; query < kTileQueries; ++query) {
        const float logit = GroupSum(sums[0][query], kLanesOfRow);
        if (!inside || query >= count) continue;
        const float log_partition = piece.log_partition[first + query];
        const int token = (first + query) / piece.group;
        // A query whose partition is empty saw nothing and gives no mass.
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

void AttendPieces(Queue* queue, const AttentionPiece* pieces, int64_t count,
                  int queries) {
  const auto kernel = queries <= 2   ? Attend<2>
                      : queries <= 4 ? Attend<4>
                                     : Attend<kTileQueries>;
  Launch(queue, {count, kThreads}, kernel, pieces);
}

void AccumulateMassPieces(Queue* queue, RowFormat format,
                          const MassPiece* pieces, int64_t count) {
  WithRowFormat(format, [&]<RowFormat row_format>() {
    Launch(queue, {count, kThreads}, Mass<row_format>, pieces);
  });
}

}  // namespace subgen::cuda
