// These operations move numbers about on the device, as kernels/dense_ops.h and
// kernels/attention_ops.h say. Pointers are of the device; shapes have been
// checked.
#pragma once

#include "kernels/heads.h"
#include "kernels/memory/view.h"

namespace subgen::cuda {

class Queue;

void GatherRows(Queue* queue, Matrix<const float> from, const int* rows,
                Matrix<float> output);
void Fill(Queue* queue, float value, Matrix<float> matrix);
void JoinHeads(Queue* queue, const HeadLayout& layout,
               const SoftmaxPartials& partials, const JoinPlace& place,
               Matrix<float> token_major);

}  // namespace subgen::cuda
