// Works on softmax partials in device memory (kernels/softmax_partials.h).
// Calls are put on the queue and return at once.
#pragma once

#include "kernels/softmax_partials.h"

namespace subgen::cuda {

class Queue;

// This is SoftmaxPartials for device code, which cannot take its spans.
struct DevicePartials {
  float* max_logit = nullptr;
  float* partition = nullptr;
  Matrix<float> weighted;

  DevicePartials() = default;
  explicit DevicePartials(const SoftmaxPartials& partials)
      : max_logit(partials.max_logit.data()),
        partition(partials.partition.data()),
        weighted(partials.weighted) {}
};

// These do what the functions of the same names do.
void SetEmpty(Queue* queue, const SoftmaxPartials& partials);
void LogPartition(Queue* queue, const SoftmaxPartials& partials, float* out);
void RescalePartials(Queue* queue, const float* own_max,
                     const SoftmaxPartials& partials);
// packed: it holds `parts` partials of the shape of `into`.
void MergePacked(Queue* queue, const float* packed, int64_t parts,
                 const SoftmaxPartials& into);

}  // namespace subgen::cuda
