// Multiplies queries by rows, for kernels of several folders. Eight lanes share
// a row, so that a warp takes 4 rows at once, and each lane reads runs of 8
// numbers that neighbors continue.
#pragma once

#include "kernels/cuda/device/cache_rows.h"
#include "kernels/cuda/device/warp.h"

namespace subgen::cuda {

inline constexpr int kLanesOfRow = 8;
inline constexpr int kRowsAtOnce = kWarp / kLanesOfRow;
inline constexpr int kRun = 8;                      // numbers
inline constexpr int kStride = kLanesOfRow * kRun;  // numbers of a row at once

// These say which of the rows, and which part of it, a thread has.
__device__ __forceinline__ int RowOfLane() {
  return threadIdx.x % kWarp / kLanesOfRow;
}
__device__ __forceinline__ int PartOfLane() {
  return threadIdx.x % kLanesOfRow;
}

// Loads the queries of a tile, with zeros beyond `count`, and beyond `dim` to
// the end of a run. All threads take part.
template <int kQueries, int kDim>
__device__ void LoadQueries(const float* from, int64_t stride, int count,
                            int dim, float (&queries)[kQueries][kDim]) {
  const int padded = (dim + kRun - 1) / kRun * kRun;
  for (int i = threadIdx.x; i < kQueries * padded; i += blockDim.x) {
    const int query = i / padded, at = i % padded;
    queries[query][at] =
        query < count && at < dim ? from[query * stride + at] : 0.0f;
  }
}

// Computes this lane's share of the products of its rows with each query.
template <RowFormat format, int kRows, int kQueries, int kDim>
__device__ __forceinline__ void Products(const uint8_t* const (&rows)[kRows],
                                         int dim,
                                         const float (&queries)[kQueries][kDim],
                                         float (&sums)[kRows][kQueries]) {
  for (auto& of_row : sums) {
    for (float& sum : of_row) sum = 0.0f;
  }
#pragma unroll 1
  for (int first = PartOfLane() * kRun; first < dim; first += kStride) {
    float numbers[kRows][kRun];
    for (int row = 0; row < kRows; ++row) {
      LoadRow8<format>(rows[row], dim, first, numbers[row]);
    }
    for (int query = 0; query < kQueries; ++query) {
      for (int i = 0; i < kRun; ++i) {
        const float x = queries[query][first + i];
        for (int row = 0; row < kRows; ++row) {
          sums[row][query] = fmaf(numbers[row][i], x, sums[row][query]);
        }
      }
    }
  }
}

// So many lanes of a row end up with the sum of one query.
template <int kQueries>
inline constexpr int kLanesOfQuery = kLanesOfRow / kQueries;

// Returns the query whose sum over the lanes of its row SumOfQuery gives a
// lane.
template <int kQueries>
__device__ __forceinline__ int QueryOfLane() {
  return PartOfLane() / kLanesOfQuery<kQueries>;
}

// Adds over the lanes of a row. Halves of the sums change places with a
// neighbor until each lane has one; then those of one query are added. This
// takes fewer exchanges than adding each query's sum on its own. kQueries: a
// power of two up to 8.
template <int kQueries>
__device__ __forceinline__ float SumOfQuery(float (&sums)[kQueries]) {
  int mask = kLanesOfRow / 2;
#pragma unroll
  for (int half = kQueries / 2; half > 0; half /= 2, mask /= 2) {
    const bool upper = PartOfLane() & mask;
#pragma unroll
    for (int i = 0; i < half; ++i) {
      const float keep = upper ? sums[i + half] : sums[i];
      const float give = upper ? sums[i] : sums[i + half];
      sums[i] = keep + __shfl_xor_sync(kAllLanes, give, mask);
    }
  }
  float sum = sums[0];
  for (; mask > 0; mask /= 2) sum += __shfl_xor_sync(kAllLanes, sum, mask);
  return sum;
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
