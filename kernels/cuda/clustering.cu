#include "kernels/cuda/attention.h"
#include "kernels/cuda/clustering.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/row_products.h"

namespace subgen::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kRuns = kMostHeadDim / kStride;  // of a lane, at most

// A lane's share of a row.
using Share = float[kRuns][kRun];

template <RowFormat format>
__device__ __forceinline__ void LoadShare(const uint8_t* row, int dim,
                                          Share& share) {
  for (int run = 0; run < kRuns; ++run) {
    const int first = run * kStride + PartOfLane() * kRun;
    if (first < dim) {
      LoadRow8<format>(row, dim, first, share[run]);
    } else {
      for (float& x : share[run]) x = 0.0f;
    }
  }
}

// 1 / length of the row that 8 lanes share; 0 where it is zero. In double, so
// that no square is out of range.
__device__ __forceinline__ double InverseLength(const Share& share) {
  double squares = 0.0;
  for (const auto& run : share) {
    for (const float x : run) squares += static_cast<double>(x) * x;
  }
  squares = GroupSum(squares, kLanesOfRow);
  return squares > 0.0 ? 1.0 / sqrt(squares) : 0.0;
}

// This lane's share of |a x - b y|^2, in double: so that equal directions are
// equal, and opposite ones of any length are 4.
__device__ __forceinline__ float OfDirections(const Share& x, double a,
                                              const Share& y, double b) {
  double sum = 0.0;
  for (int run = 0; run < kRuns; ++run) {
    for (int i = 0; i < kRun; ++i) {
      const double difference = a * x[run][i] - b * y[run][i];
      sum += difference * difference;
    }
  }
  return static_cast<float>(sum);
}

__device__ __forceinline__ float OfPoints(const Share& x, const Share& y) {
  float sum = 0.0f;
  for (int run = 0; run < kRuns; ++run) {
    for (int i = 0; i < kRun; ++i) {
      const float difference = x[run][i] - y[run][i];
      sum = fmaf(difference, difference, sum);
    }
  }
  return sum;
}

template <RowFormat format>
__global__ void __launch_bounds__(kThreads)
    Distances(const DistancePiece* pieces) {
  const DistancePiece piece = pieces[blockIdx.x];
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

void DistancesOfPieces(cudaStream_t stream, RowFormat format,
                       const DistancePiece* pieces, int64_t count) {
  WithRowFormat(format, [&]<RowFormat row_format>() {
    Launch(stream, {count, kThreads}, Distances<row_format>, pieces);
  });
}

}  // namespace subgen::cuda
