// Distances that a sketch chooses its rows by.
#pragma once

#include "kernels/row_ops.h"

namespace subgen::reference {

void Distances(const DistanceTask& task);

}  // namespace subgen::reference
