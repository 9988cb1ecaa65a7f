// Copies rows from one place and format to another, some rows per thread.
#pragma once

#include "kernels/cpu/threads/context.h"
#include "kernels/row_ops.h"

namespace subgen::cpu {

void ConvertRows(Context& context, Vector<const RowCopy> copies);

}  // namespace subgen::cpu
