// Attention of many queries on tensor cores: a block takes 64 queries, a warp
// 16 of them, over the rows of its piece, as FlashAttention-2 does (Dao, arXiv
// 2307.08691): logits, weights and weighted values stay in registers.
//
// Queries, rows and weights are rounded to bf16, sums are float32. A weight is
// rounded relative to a power of two, and both sums are of rounded weights: so
// the roundings are the same however the rows are cut into tiles, pieces and
// ranks, and a set of one row gives its value as it is.
#include "kernels/cuda/attention/attention_many.h"
#include "kernels/cuda/attention/row_tile.h"
#include "kernels/cuda/attention/warp_queries.h"
#include "kernels/cuda/runtime/launch.h"

namespace subgen::cuda {
namespace {

constexpr int kThreads = 128;
static_assert(kManyQueries == kThreads / kWarp * kQueriesOfWarp);

// Returns how many tiles have a row that the token sees. Every warp finds the
// same.
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
    // Tokens of rows ascend, so tiles that are seen form a prefix.
    if (visible < first + kWarp) break;
  }
  return visible;
}

// Registers are left for so many blocks per multiprocessor: none of a block's
// registers spill then (nvcc 13.0, compute capability 8.0, 9.0 and 10.0).
template <int kDim>
constexpr int kBlocks = kDim == 64 || kDim == 128 ? 3 : 2;

template <int kDim, bool as_they_are>
__global__ void __launch_bounds__(kThreads, kBlocks<kDim>)
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
    // The block's last query may see rows that this warp's queries do not; the
    // warp then skips the tile, but takes part in filling the next one.
    if (tiles[i % 2].token[0] <= queries.last_token) {
      Attend(piece, tiles[i % 2], &queries);
    }
  }
  Store(pieces[blockIdx.x], queries);
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
