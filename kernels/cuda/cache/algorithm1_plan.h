// Cluster tasks as the kernel takes them.
#pragma once

#include "kernels/backend.h"
#include "kernels/cuda/cache/algorithm1.h"
#include "kernels/cuda/runtime/pieces.h"

namespace subgen::cuda {

// In place of the plan before. Operands are put into `staging`.
void PlanClusters(Vector<const ClusterTask> tasks, Staging* staging,
                  PiecesByFormat<ClusterHead>* plan);

}  // namespace subgen::cuda
