// Inserts tokens into the centers of a head (kernels/k_center.h), one by one.
#pragma once

#include "kernels/k_center.h"

namespace subgen {
class RowOps;
}

namespace subgen::reference {

// Does RowOps::InsertCenters for one head, with the distances of `ops`. A token
// takes O(rows dim).
void InsertCenters(RowOps& ops, const CenterTask& task);

}  // namespace subgen::reference
