// What moves numbers about on the device; as in kernels/backend.h. Pointers are
// of the device, shapes are checked.
#pragma once

#include <cuda_runtime_api.h>

#include "kernels/heads.h"
#include "kernels/memory/view.h"

namespace subgen::cuda {

void GatherRows(cudaStream_t stream, Matrix<const float> from, const int* rows,
                Matrix<float> output);
void Fill(cudaStream_t stream, float value, Matrix<float> matrix);
void SplitHeads(cudaStream_t stream, const HeadLayout& layout,
                Matrix<const float> token_major, float scale,
                Matrix<float> head_major);
void JoinHeads(cudaStream_t stream, const HeadLayout& layout,
               const SoftmaxPartials& partials, const JoinPlace& place,
               Matrix<float> token_major);
void LogPartition(cudaStream_t stream, const SoftmaxPartials& partials,
                  float* out);

}  // namespace subgen::cuda
