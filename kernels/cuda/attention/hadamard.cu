#include "kernels/cuda/attention/hadamard.h"
#include "kernels/cuda/device/head_dim.h"
#include "kernels/cuda/device/warp.h"
#include "kernels/cuda/runtime/launch.h"

namespace subgen::cuda {
namespace {

constexpr int kRowsOfBlock = 4;

// Takes a row per warp. The stages are those of HadamardTransform::Transform,
// for all of the row's blocks at once.
__global__ void __launch_bounds__(kRowsOfBlock* kWarp)
    Transform(const float* signs, int64_t block, int64_t back,
              Matrix<float> rows) {
  __shared__ float both[kRowsOfBlock][2][kMostHeadDim];
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const int64_t at = static_cast<int64_t>(blockIdx.x) * kRowsOfBlock + warp;
  if (at >= rows.rows) return;
  float* const row = rows.data + at * rows.stride;
  float *from = both[warp][0], *to = both[warp][1];
  const int dim = static_cast<int>(rows.cols),
            half = static_cast<int>(block) / 2;
  for (int i = lane; i < dim; i += kWarp) {
    from[i] = back != 0 ? row[i] : row[i] * signs[i];
  }
  __syncwarp();
  for (int stage = 1; stage <= half; stage *= 2) {
    for (int pair = lane; pair < dim / 2; pair += kWarp) {
      const int i = pair % half, first = 2 * (pair - i);
      const float low = from[first + i], high = from[first + half + i];
      to[first + 2 * i] = low + high;
      to[first + 2 * i + 1] = low - high;
    }
    __syncwarp();
    float* const other = from;
    from = to;
    to = other;
  }
  for (int i = lane; i < dim; i += kWarp) {
    row[i] = back != 0 ? from[i] * signs[i] : from[i];
  }
}

}  // namespace

void ApplyHadamard(Queue* queue, const DeviceHadamard& transform,
                   Matrix<float> rows) {
  Launch(queue, {CeilDivide(rows.rows, kRowsOfBlock), kRowsOfBlock * kWarp},
         Transform, transform.signs, transform.block, int64_t{transform.back},
         rows);
}

}  // namespace subgen::cuda
