// Copies rows from one place and format to another.
#pragma once

#include "kernels/row_ops.h"

namespace subgen::reference {

void ConvertRows(const RowCopy& copy);

}  // namespace subgen::reference
