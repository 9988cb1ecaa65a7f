// Center tasks as the kernels take them.
#pragma once

#include <vector>

#include "kernels/backend.h"
#include "kernels/cuda/attention_plan.h"
#include "kernels/cuda/centers.h"
#include "kernels/cuda/staging.h"

namespace subgen::cuda {

struct CenterPlan {
  PiecesByFormat<TokenDistancesPiece> distances;
  PiecesByFormat<CenterHead> heads;
};

// Operands are put into `staging`.
CenterPlan PlanCenters(Vector<const CenterTask> tasks, Staging* staging);

}  // namespace subgen::cuda
