#include "kernels/cuda/cache/algorithm1.h"
#include "kernels/cuda/cache/algorithm1_block.h"
#include "kernels/cuda/runtime/launch.h"

namespace subgen::cuda {
namespace {

template <RowFormat format>
__global__ void __launch_bounds__(kClusterThreads)
    InsertClusters(const ClusterHead* heads) {
  __shared__ uint64_t least_of_warps[kClusterThreads / kWarp];
  __shared__ int chosen;
  if (heads[blockIdx.x].totals == nullptr) return;  // an empty piece
  Clusters<format>(heads[blockIdx.x], least_of_warps, &chosen).Run();
}

}  // namespace

void InsertClustersOfHeads(Queue* queue, RowFormat format,
                           const ClusterHead* heads, int64_t count) {
  WithRowFormat(format, [&]<RowFormat row_format>() {
    Launch(queue, {count, kClusterThreads}, InsertClusters<row_format>, heads);
  });
}

}  // namespace subgen::cuda
