// Computes distances from points to rows, on threads.
#pragma once

#include "kernels/cpu/attention/attention_piece.h"
#include "kernels/cpu/threads/context.h"
#include "kernels/row_ops.h"

namespace subgen::cpu {

// A row is compared with so many points while it is in registers.
inline constexpr int kMostPoints = 4;
// Returns the floats of scratch for points and a tile of rows.
inline int64_t DistanceScratch(int64_t dim) {
  return (kMostPoints + kRowTile) * PaddedWidth(dim);
}
void Distances(Context& context, Vector<const DistanceTask> tasks);
// Inserts clusters, one head per thread.
void InsertClusters(Context& context, Vector<const ClusterTask> tasks);

}  // namespace subgen::cpu
