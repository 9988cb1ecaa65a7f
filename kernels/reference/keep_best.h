// Keeps the rows with the largest scores (kernels/keep_best.h).
#pragma once

#include "kernels/keep_best.h"

namespace subgen::reference {

// Does RowOps::KeepBest for one head. A token takes O(rows).
void KeepBest(const KeepBestTask& task);

}  // namespace subgen::reference
