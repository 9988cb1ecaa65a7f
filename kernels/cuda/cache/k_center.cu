#include "kernels/cuda/cache/k_center.h"
#include "kernels/cuda/cache/k_center_block.h"
#include "kernels/cuda/runtime/launch.h"

namespace subgen::cuda {
namespace {

constexpr int kDistanceThreads = 128;

template <RowFormat format>
__global__ void __launch_bounds__(kDistanceThreads)
    TokenDistances(const TokenDistancesPiece* pieces) {
  const TokenDistancesPiece piece = pieces[blockIdx.x];
  for (int at = threadIdx.x / kWarp * kRowsAtOnce; at < piece.count;
       at += kDistanceThreads / kWarp * kRowsAtOnce) {
    const int j = at + RowOfLane();
    Share row, token;
    LoadShare<format>(piece.rows + (j < piece.count ? j : 0) * piece.row_bytes,
                      piece.dim, row);
    // A row is loaded once for all tokens and stays in registers; its length is
    // computed once too.
    const double scale = piece.directions ? InverseLength(row) : 1.0;
    for (int i = 0; i < piece.token_count; ++i) {
      LoadShare<format>(piece.tokens + i * piece.row_bytes, piece.dim, token);
      float sum = piece.directions
                      ? OfDirections(token, InverseLength(token), row, scale)
                      : OfPoints(token, row);
      sum = GroupSum(sum, kLanesOfRow);
      if (j < piece.count && PartOfLane() == 0) {
        piece.squared[i * piece.stride + j] = sum;
      }
    }
  }
}

template <RowFormat format>
__global__ void __launch_bounds__(kCenterThreads)
    InsertCenters(const CenterHead* heads) {
  __shared__ uint64_t least_of_warps[kCenterThreads / kWarp];
  if (heads[blockIdx.x].totals == nullptr) return;  // an empty piece
  Centers<format>(heads[blockIdx.x], least_of_warps).Run();
}

}  // namespace

void TokenDistancesOfPieces(Queue* queue, RowFormat format,
                            const TokenDistancesPiece* pieces, int64_t count) {
  WithRowFormat(format, [&]<RowFormat row_format>() {
    Launch(queue, {count, kDistanceThreads}, TokenDistances<row_format>,
           pieces);
  });
}

void InsertCentersOfHeads(Queue* queue, RowFormat format,
                          const CenterHead* heads, int64_t count) {
  WithRowFormat(format, [&]<RowFormat row_format>() {
    Launch(queue, {count, kCenterThreads}, InsertCenters<row_format>, heads);
  });
}

}  // namespace subgen::cuda
