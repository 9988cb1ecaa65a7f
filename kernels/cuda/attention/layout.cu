#include "kernels/cuda/attention/layout.h"
#include "kernels/cuda/attention/partials.h"
#include "kernels/cuda/device/element_wise.h"
#include "kernels/cuda/device/head_rows.h"

namespace subgen::cuda {
namespace {

__global__ void Gather(Matrix<const float> from, const int* rows,
                       Matrix<float> output) {
  const int64_t element = Element();
  if (element >= output.rows * output.cols) return;
  const int64_t row = element / output.cols, column = element % output.cols;
  output.data[row * output.stride + column] =
      from.data[rows[row] * from.stride + column];
}

__global__ void FillAll(float value, Matrix<float> matrix) {
  const int64_t element = Element();
  if (element >= matrix.rows * matrix.cols) return;
  matrix.data[element / matrix.cols * matrix.stride + element % matrix.cols] =
      value;
}

__global__ void Join(HeadLayout layout, DevicePartials sums, JoinPlace place,
                     Matrix<float> token_major) {
  const int64_t element = Element();
  if (element >= layout.tokens * place.features) return;
  const int64_t token = element / place.features, i = element % place.features;
  const int64_t feature = place.first_feature + i;
  const int64_t row = HeadMajorRow(layout, feature / layout.head_dim, token);
  const float scale = 1.0f / sums.partition[row];
  token_major.data[token * token_major.stride + place.column + i] =
      scale * sums.weighted
                  .data[row * sums.weighted.stride + feature % layout.head_dim];
}

}  // namespace

void GatherRows(Queue* queue, Matrix<const float> from, const int* rows,
                Matrix<float> output) {
  Launch(queue, ElementWise(output.rows * output.cols), Gather, from, rows,
         output);
}

void Fill(Queue* queue, float value, Matrix<float> matrix) {
  Launch(queue, ElementWise(matrix.rows * matrix.cols), FillAll, value, matrix);
}

void JoinHeads(Queue* queue, const HeadLayout& layout,
               const SoftmaxPartials& partials, const JoinPlace& place,
               Matrix<float> token_major) {
  Launch(queue, ElementWise(layout.tokens * place.features), Join, layout,
         DevicePartials(partials), place, token_major);
}

}  // namespace subgen::cuda
