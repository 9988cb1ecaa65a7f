// Rows of which the ones with the largest scores stay (kernels/keep_best.h).
#pragma once

#include "kernels/keep_best.h"

namespace subgen::reference {

// RowOps::KeepBest of one head. O(rows) per token.
void KeepBest(const KeepBestTask& task);

}  // namespace subgen::reference
