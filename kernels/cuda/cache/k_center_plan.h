// Puts center tasks into the form that the kernels take.
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

// Replaces the plan before. Operands are put into the operation.
void PlanCenters(Vector<const CenterTask> tasks, Operation* operation,
                 CenterPlan* plan);

}  // namespace subgen::cuda
