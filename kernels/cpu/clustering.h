// Distances from a point to rows, on threads.
#pragma once

#include "kernels/backend.h"
#include "kernels/cpu/context.h"

namespace subgen::cpu {

void Distances(Context& context, Vector<const DistanceTask> tasks);

}  // namespace subgen::cpu
