#include "kernels/cuda/attention/partials.h"
#include "kernels/cuda/device/element_wise.h"

namespace subgen::cuda {
namespace {

constexpr int kThreads = 128;  // of a block that takes a row

// Takes a number per thread: weighted, then the partition and the maximum of a
// row.
__global__ void Empty(DevicePartials partials) {
  const int64_t cols = partials.weighted.cols;
  const int64_t element = Element();
  if (element >= partials.weighted.rows * (cols + 2)) return;
  const int64_t row = element / (cols + 2), column = element % (cols + 2);
  if (column < cols) {
    partials.weighted.data[row * partials.weighted.stride + column] = 0.0f;
  } else if (column == cols) {
    partials.partition[row] = 0.0f;
  } else {
    partials.max_logit[row] = -INFINITY;
  }
}

__global__ void Logs(DevicePartials partials, int64_t rows, float* out) {
  const int64_t row = Element();
  if (row >= rows) return;
  out[row] = partials.partition[row] > 0.0f
                 ? partials.max_logit[row] + logf(partials.partition[row])
                 : -INFINITY;
}

// Takes a row per block.
__global__ void __launch_bounds__(kThreads)
    Rescale(const float* own_max, DevicePartials partials) {
  const int64_t row = blockIdx.x;
  const float own = own_max[row], max = partials.max_logit[row];
  if (own == max) return;
  const bool empty = own == -INFINITY;  // counts for nothing
  const float factor = expf(own - max);
  float* const weighted =
      partials.weighted.data + row * partials.weighted.stride;
  for (int64_t i = threadIdx.x; i < partials.weighted.cols; i += kThreads) {
    weighted[i] = empty ? 0.0f : weighted[i] * factor;
  }
  if (threadIdx.x != 0) return;
  partials.partition[row] = empty ? 0.0f : partials.partition[row] * factor;
}

// Takes a row per block. A part that is empty in the row is not read.
__global__ void __launch_bounds__(kThreads)
    MergeParts(const float* packed, int64_t parts, DevicePartials into) {
  const int64_t row = blockIdx.x;
  const int64_t rows = into.weighted.rows, dim = into.weighted.cols;
  const int64_t size = rows * (dim + 2);
  float max = -INFINITY;
  for (int64_t i = 0; i < parts; ++i) max = fmaxf(max, packed[i * size + row]);
  for (int64_t column = threadIdx.x; column <= dim; column += kThreads) {
    // The last column is the partition.
    const int64_t at =
        column == dim ? rows + row : 2 * rows + row * dim + column;
    float sum = 0.0f;
    for (int64_t i = 0; i < parts; ++i) {
      const float* const part = packed + i * size;
      if (part[row] == -INFINITY) continue;
      sum = fmaf(part[at], expf(part[row] - max), sum);
    }
    if (column < dim) {
      into.weighted.data[row * into.weighted.stride + column] = sum;
    } else {
      into.partition[row] = sum;
      into.max_logit[row] = max;
    }
  }
}

}  // namespace

void SetEmpty(Queue* queue, const SoftmaxPartials& partials) {
  Launch(queue, ElementWise(partials.rows() * (partials.weighted.cols + 2)),
         Empty, DevicePartials(partials));
}

void LogPartition(Queue* queue, const SoftmaxPartials& partials, float* out) {
  Launch(queue, ElementWise(partials.rows()), Logs, DevicePartials(partials),
         partials.rows(), out);
}

void RescalePartials(Queue* queue, const float* own_max,
                     const SoftmaxPartials& partials) {
  Launch(queue, {partials.rows(), kThreads}, Rescale, own_max,
         DevicePartials(partials));
}

void MergePacked(Queue* queue, const float* packed, int64_t parts,
                 const SoftmaxPartials& into) {
  Launch(queue, {into.rows(), kThreads}, MergeParts, packed, parts,
         DevicePartials(into));
}

}  // namespace subgen::cuda
