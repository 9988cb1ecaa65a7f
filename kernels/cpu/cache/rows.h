// Rows from place to place and format to format, some rows a thread.
#pragma once

#include "kernels/cpu/threads/context.h"
#include "kernels/row_ops.h"

namespace subgen::cpu {

void ConvertRows(Context& context, Vector<const RowCopy> copies);

}  // namespace subgen::cpu
