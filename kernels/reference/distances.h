// Distances that a sketch chooses its rows by.
#pragma once

#include "kernels/backend.h"

namespace subgen::reference {

void Distances(const DistanceTask& task);

}  // namespace subgen::reference
