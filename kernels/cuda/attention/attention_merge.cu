// Merges what the pieces of attention tasks found into their outputs, in four
// phases: the largest logit of all, the sums of each warp relative to it, the
// sums of all warps, and the output.
#include "kernels/cuda/attention/attention.h"
#include "kernels/cuda/device/warp.h"
#include "kernels/cuda/runtime/launch.h"

namespace subgen::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kWarps = kThreads / kWarp;

// Returns the largest logit of a query over its sets and what it holds already.
// It is found first, so that each set is scaled once, and not again whenever a
// later set has a larger one.
__device__ float MaxOf(const MergeTarget& target, const float* maxima,
                       int64_t size, float before) {
  __shared__ float of_warps[kWarps];
  float max = before;
  for (int i = threadIdx.x; i < target.sets; i += kThreads) {
    max = fmaxf(max, maxima[i * size]);
  }
  max = GroupMax(max);
  if (threadIdx.x % kWarp == 0) of_warps[threadIdx.x / kWarp] = max;
  __syncthreads();
  for (const float of_warp : of_warps) max = fmaxf(max, of_warp);
  return max;
}

// Merges the partials over all sets into the target, one query per block. A
// warp adds up every so-many-th set, several of them on their way at once, so
// that their latencies overlap. Which warp adds which set follows from their
// numbers, so the order of additions is always the same.
__global__ void __launch_bounds__(kThreads) Merge(const MergeTarget* targets) {
  constexpr int kColumns = kMostHeadDim / kWarp;  // of a lane
  __shared__ float sums_of_warps[kWarps][kMostHeadDim];
  __shared__ float partition_of_warps[kWarps];
  const MergeTarget target = targets[blockIdx.x / kTileQueries];
  const int query = blockIdx.x % kTileQueries;
  if (query >= target.query_count) return;
  const int64_t all = target.all_queries, at = target.first_query + query;
  const int dim = target.value_dim;
  const int64_t size = all * (2 + dim);
  const float* const maxima = target.partials + at;
  const float* const sums = target.partials + 2 * all + at * dim;
  const float before = target.from_empty ? -INFINITY : target.max_logit[query];
  const float max = MaxOf(target, maxima, size, before);
  if (max == -INFINITY && !target.from_empty) return;  // nothing seen

  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  float weighted[kColumns] = {}, partition = 0.0f;
#pragma unroll 4
  for (int i = warp; i < target.sets; i += kWarps) {
    const float of_set = maxima[i * size];
    const bool empty = of_set == -INFINITY;  // counts for nothing
    const float weight = empty ? 0.0f : expf(of_set - max);
    partition += empty ? 0.0f : maxima[i * size + all] * weight;
#pragma unroll
    for (int j = 0; j < kColumns; ++j) {
      const int column = j * kWarp + lane;
      const float sum = column < dim ? sums[i * size + column] : 0.0f;
      weighted[j] = empty ? weighted[j] : fmaf(sum, weight, weighted[j]);
    }
  }
  for (int j = 0; j < kColumns; ++j) {
    sums_of_warps[warp][j * kWarp + lane] = weighted[j];
  }
  if (lane == 0) partition_of_warps[warp] = partition;
  __syncthreads();
  // What the target holds takes part like one more set. At scale 0 it is not
  // read: it may be memory that nobody has set, or hold a NaN, which a product
  // with 0 would keep.
  const float scale = before == -INFINITY ? 0.0f : expf(before - max);
  float* const out = target.weighted + query * target.weighted_stride;
  for (int column = threadIdx.x; column < dim; column += kThreads) {
    float sum = scale == 0.0f ? 0.0f : out[column] * scale;
    for (const auto& of_warp : sums_of_warps) sum += of_warp[column];
    out[column] = sum;
  }
  // Thread 0 may overwrite the maximum, because every thread read the one
  // before into `before` ahead of the barriers.
  if (threadIdx.x != 0) return;
  float whole = scale == 0.0f ? 0.0f : target.partition[query] * scale;
  for (const float of_warp : partition_of_warps) whole += of_warp;
  target.partition[query] = whole;
  target.max_logit[query] = max;
}

}  // namespace

void MergePieces(Queue* queue, const MergeTarget* targets, int64_t count) {
  Launch(queue, {count * kTileQueries, kThreads}, Merge, targets);
}

}  // namespace subgen::cuda
