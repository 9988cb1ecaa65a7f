#include "kernels/cuda/cache/distances.h"
#include "kernels/cuda/cache/row_shares.h"
#include "kernels/cuda/device/head_dim.h"
#include "kernels/cuda/runtime/launch.h"

namespace subgen::cuda {
namespace {

constexpr int kThreads = 128;
template <RowFormat format>
__global__ void __launch_bounds__(kThreads)
    Distances(const DistancePiece* pieces) {
  const DistancePiece piece = pieces[blockIdx.x];
  if (piece.count == 0) return;
  Share point, row;
  for (int run = 0; run < kRuns; ++run) {
    for (int i = 0; i < kRun; ++i) {
      const int at = run * kStride + PartOfLane() * kRun + i;
      point[run][i] = at < piece.dim ? piece.point[at] : 0.0f;
    }
  }
  const double point_scale = piece.directions ? InverseLength(point) : 1.0;
  for (int at = threadIdx.x / kWarp * kRowsAtOnce; at < kDistanceRows;
       at += kThreads / kWarp * kRowsAtOnce) {
    const int j = at + RowOfLane();
    const int inside = j < piece.count ? j : 0;
    LoadShare<format>(piece.rows + inside * piece.row_bytes, piece.dim, row);
    float sum = piece.directions
                    ? OfDirections(point, point_scale, row, InverseLength(row))
                    : OfPoints(point, row);
    sum = GroupSum(sum, kLanesOfRow);
    if (j < piece.count && PartOfLane() == 0) piece.squared[j] = sum;
  }
}

}  // namespace

void DistancesOfPieces(Queue* queue, RowFormat format,
                       const DistancePiece* pieces, int64_t count) {
  WithRowFormat(format, [&]<RowFormat row_format>() {
    Launch(queue, {count, kThreads}, Distances<row_format>, pieces);
  });
}

}  // namespace subgen::cuda
