// Products of queries with rows, for the kernels of this folder: 8 lanes share
// a row, so that a warp takes 4 rows at once, and each lane reads runs of 8
// numbers that neighbours continue.
#pragma once

#include "kernels/cuda/cache_rows.h"
#include "kernels/cuda/warp.h"

namespace subgen::cuda {

inline constexpr int kLanesOfRow = 8;
inline constexpr int kRowsAtOnce = kWarp / kLanesOfRow;
inline constexpr int kRun = 8;                      // numbers
inline constexpr int kStride = kLanesOfRow * kRun;  // numbers of a row at once

// Which of the rows, and which part of it, a thread has.
__device__ __forceinline__ int RowOfLane() {
  return threadIdx.x % kWarp / kLanesOfRow;
}
__device__ __forceinline__ int PartOfLane() {
  return threadIdx.x % kLanesOfRow;
}

// The queries of a tile, zero beyond `count` and `dim`. All threads.
template <int kQueries, int kDim>
__device__ void LoadQueries(const float* from, int64_t stride, int count,
                            int dim, float (&queries)[kQueries][kDim]) {
  for (int i = threadIdx.x; i < kQueries * kDim; i += blockDim.x) {
    const int query = i / kDim, at = i % kDim;
    queries[query][at] =
        query < count && at < dim ? from[query * stride + at] : 0.0f;
  }
}

// This lane's share of the products of its row with each query.
template <RowFormat format, int kQueries, int kDim>
__device__ __forceinline__ void Products(const uint8_t* row, int dim,
                                         const float (&queries)[kQueries][kDim],
                                         float (&sums)[kQueries]) {
  for (float& sum : sums) sum = 0.0f;
  for (int first = PartOfLane() * kRun; first < dim; first += kStride) {
    float numbers[kRun];
    LoadRow8<format>(row, dim, first, numbers);
    for (int query = 0; query < kQueries; ++query) {
      for (int i = 0; i < kRun; ++i) {
        sums[query] = fmaf(numbers[i], queries[query][first + i], sums[query]);
      }
    }
  }
}

// Calls `with` with the format as a template argument.
template <class With>
void WithRowFormat(RowFormat format, With with) {
  switch (format) {
    case RowFormat::kF32:
      return with.template operator()<RowFormat::kF32>();
    case RowFormat::kBF16:
      return with.template operator()<RowFormat::kBF16>();
    case RowFormat::kF16:
      return with.template operator()<RowFormat::kF16>();
    case RowFormat::kQ8:
      return with.template operator()<RowFormat::kQ8>();
    case RowFormat::kQ4:
      return with.template operator()<RowFormat::kQ4>();
    case RowFormat::kQ3:
      return with.template operator()<RowFormat::kQ3>();
  }
}

}  // namespace subgen::cuda
