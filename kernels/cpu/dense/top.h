// Finds the largest numbers of rows; threads take pieces of a row.
#pragma once

#include "kernels/cpu/threads/context.h"
#include "kernels/memory/view.h"

namespace subgen::cpu {

void Top(Context& context, Matrix<const float> rows, Vector<const float> scales,
         Matrix<float> output);

}  // namespace subgen::cpu
