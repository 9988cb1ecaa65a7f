// Softmax partials on device memory (kernels/softmax_partials.h); put on the
// queue, returns at once.
#pragma once

#include "kernels/softmax_partials.h"

namespace subgen::cuda {

class Queue;

// SoftmaxPartials, whose spans are not for device code.
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

// As the functions of these names.
void SetEmpty(Queue* queue, const SoftmaxPartials& partials);
void LogPartition(Queue* queue, const SoftmaxPartials& partials, float* out);
void RescalePartials(Queue* queue, const float* own_max,
                     const SoftmaxPartials& partials);
// packed: of `parts` partials of the shape of `into`.
void MergePacked(Queue* queue, const float* packed, int64_t parts,
                 const SoftmaxPartials& into);

}  // namespace subgen::cuda
