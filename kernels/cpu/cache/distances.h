// Distances from a point to rows, on threads.
#pragma once

#include "kernels/cpu/attention/attention_piece.h"
#include "kernels/cpu/threads/context.h"
#include "kernels/row_ops.h"

namespace subgen::cpu {

// Points that a row is compared with while it is in registers.
inline constexpr int kMostPoints = 4;
// Floats of scratch for points and a tile of rows.
inline int64_t DistanceScratch(int64_t dim) {
  return (kMostPoints + kRowTile) * PaddedWidth(dim);
}
void Distances(Context& context, Vector<const DistanceTask> tasks);
// A head a thread.
void InsertClusters(Context& context, Vector<const ClusterTask> tasks);

}  // namespace subgen::cpu
