// Center tasks as the kernels take them.
#pragma once

#include <vector>

#include "kernels/cuda/cache/k_center.h"
#include "kernels/cuda/runtime/pieces.h"
#include "kernels/k_center.h"

namespace subgen::cuda {

struct CenterPlan {
  void Clear() {
    distances.Clear();
    heads.Clear();
  }

  PiecesByFormat<TokenDistancesPiece> distances;
  PiecesByFormat<CenterHead> heads;
};

// In place of the plan before. Operands are put into the operation.
void PlanCenters(Vector<const CenterTask> tasks, Operation* operation,
                 CenterPlan* plan);

}  // namespace subgen::cuda
