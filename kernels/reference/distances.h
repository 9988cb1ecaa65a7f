// A sketch chooses its rows by these distances.
#pragma once

#include "kernels/row_ops.h"

namespace subgen::reference {

void Distances(const DistanceTask& task);

}  // namespace subgen::reference
