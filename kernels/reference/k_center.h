// Tokens that join the centers of a head (kernels/k_center.h), one by one.
#pragma once

#include "kernels/k_center.h"

namespace subgen {
class RowOps;
}

namespace subgen::reference {

// RowOps::InsertCenters of one head, with the distances of `ops`. O(rows dim)
// per token.
void InsertCenters(RowOps& ops, const CenterTask& task);

}  // namespace subgen::reference
