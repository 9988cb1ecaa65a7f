// Rows from place to place and format to format.
#pragma once

#include "kernels/row_ops.h"

namespace subgen::reference {

void ConvertRows(const RowCopy& copy);

}  // namespace subgen::reference
