// Tokens that join the clusters and value samples of a head
// (kernels/algorithm1.h), one by one.
#pragma once

#include "absl/functional/function_ref.h"
#include "kernels/algorithm1.h"

namespace subgen::reference {

// Fills the squared distances of a point from rows.
using DistancesOfPoint = absl::FunctionRef<void(
    Vector<const float> point, const Rows& rows, Vector<float> squared)>;

// RowOps::InsertClusters of one head. O(clusters dim) per token,
// O(clusters^2 dim) where the radius doubles.
void InsertClusters(const ClusterTask& task, DistancesOfPoint distances_of);

}  // namespace subgen::reference
