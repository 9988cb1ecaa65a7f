// Finds the largest numbers of rows on device memory (kernels/top_numbers.h),
// by sorting tiles and then what was kept of them.
#pragma once

#include "kernels/memory/view.h"

namespace subgen::cuda {

class Operation;

// scales: [rows]. All operands are on the device.
void Top(Operation* operation, Matrix<const float> rows, const float* scales,
         Matrix<float> output);

}  // namespace subgen::cuda
