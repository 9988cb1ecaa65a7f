// Inserts tokens into the clusters and value samples of a head
// (kernels/algorithm1.h), one by one.
#pragma once

#include "absl/functional/function_ref.h"
#include "kernels/algorithm1.h"

namespace subgen::reference {

// Fills the squared distances from a point to rows.
using DistancesOfPoint = absl::FunctionRef<void(
    Vector<const float> point, const Rows& rows, Vector<float> squared)>;

// Does RowOps::InsertClusters for one head. A token takes O(clusters dim), or
// O(clusters^2 dim) where the radius doubles.
void InsertClusters(const ClusterTask& task, DistancesOfPoint distances_of);

}  // namespace subgen::reference
