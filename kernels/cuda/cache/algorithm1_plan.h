// Puts cluster tasks into the form that the kernel takes.
#pragma once

#include "kernels/algorithm1.h"
#include "kernels/cuda/cache/algorithm1.h"
#include "kernels/cuda/runtime/pieces.h"

namespace subgen::cuda {

// Replaces the plan before. Operands are put into the operation.
void PlanClusters(Vector<const ClusterTask> tasks, Operation* operation,
                  PiecesByFormat<ClusterHead>* plan);

}  // namespace subgen::cuda
