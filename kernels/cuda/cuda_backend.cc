#include "kernels/cuda/cuda_backend.h"

#include <algorithm>
#include <memory>

#include "absl/status/status.h"
#include "kernels/cuda/dense/top.h"
#include "kernels/cuda/runtime/device.h"

namespace subgen {
namespace cuda {
namespace {

constexpr int kBlocksOfProcessor = 4;

// A place on the device with rows of a matrix, packed: row ids[i], or row i
// where ids is null.
const std::byte* SendRows(const WeightMatrix& weight, int64_t rows,
                          const int* ids, Staging* staging) {
  const int64_t bytes = weight.row_bytes();
  const auto [host, device] = staging->Stage<std::byte>(rows * bytes);
  for (int64_t i = 0; i < rows; ++i) {
    std::copy_n(weight.row(ids == nullptr ? i : ids[i]), bytes,
                host + i * bytes);
  }
  return device;
}

}  // namespace

CudaBackend::CudaBackend(int device, int processors)
    : blocks_(int64_t{kBlocksOfProcessor} * processors), queue_(device) {}

WeightMatrix CudaBackend::OnDevice(const WeightMatrix& weight) {
  WeightMatrix on_device = kept_.Find(weight);
  if (on_device.data != nullptr) return on_device;
  on_device.data = SendRows(weight, weight.rows, nullptr, &staging_);
  return on_device;
}

DeviceProduct CudaBackend::OnDevice(Matrix<const float> input,
                                    const LinearProduct& product) {
  const auto& [weight, output] = product;
  SUBGEN_CHECK(input.cols == weight->cols && output.cols == weight->rows &&
               input.rows == output.rows);
  const WeightMatrix on_device = OnDevice(*weight);
  return {on_device, staging_.Out(output)};
}

void CudaBackend::Linear(Matrix<const float> input, const WeightMatrix& weight,
                         Matrix<float> output) {
  const LinearProduct product = {&weight, output};
  Linears(input, {&product, 1});
}

void CudaBackend::Linears(Matrix<const float> input,
                          Vector<const LinearProduct> products) {
  const Matrix<const float> in = staging_.In(input);
  products_.clear();
  for (const LinearProduct& product : products) {
    products_.push_back(OnDevice(input, product));
  }
  cuda::Linears(&queue_, in, products_);
  staging_.Finish();
}

void CudaBackend::Embed(const WeightMatrix& table, Vector<const int> ids,
                        Matrix<float> output) {
  SUBGEN_CHECK(output.cols == table.cols &&
               output.rows == static_cast<int64_t>(ids.size()));
  for (const int id : ids) SUBGEN_CHECK(id >= 0 && id < table.rows, id);
  WeightMatrix on_device = kept_.Find(table);
  const int* rows = nullptr;
  if (on_device.data != nullptr) {
    rows = staging_.In(ids);
  } else {
    on_device.data = SendRows(table, ids.size(), ids.data(), &staging_);
  }
  cuda::Embed(&queue_, on_device, rows, staging_.Out(output));
  staging_.Finish();
}

void CudaBackend::RmsNorm(Matrix<const float> input, Vector<const float> gain,
                          float epsilon, Matrix<float> output) {
  SUBGEN_CHECK(static_cast<int64_t>(gain.size()) == input.cols &&
               output.cols == input.cols && output.rows == input.rows);
  const Matrix<const float> in = staging_.In(input);
  const NormGain gains = {staging_.In(gain), epsilon};
  cuda::RmsNorm(&queue_, in, gains, staging_.Out(output));
  staging_.Finish();
}

void CudaBackend::GatedSilu(Matrix<const float> up, Matrix<float> gate) {
  SUBGEN_CHECK(up.rows == gate.rows && up.cols == gate.cols);
  const Matrix<const float> in = staging_.In(up);
  cuda::GatedSilu(&queue_, in, staging_.InOut(gate));
  staging_.Finish();
}

void CudaBackend::GatedLinears(Matrix<const float> input,
                               const LinearProduct& up,
                               const LinearProduct& gate) {
  SUBGEN_CHECK(up.weight->rows == gate.weight->rows);
  const Matrix<const float> in = staging_.In(input);
  const DeviceProduct ups = OnDevice(input, up);
  cuda::GatedLinears(&queue_, in, ups, OnDevice(input, gate));
  staging_.Finish();
}

void CudaBackend::Add(Matrix<const float> x, Matrix<float> accumulator) {
  SUBGEN_CHECK(x.rows == accumulator.rows && x.cols == accumulator.cols);
  const Matrix<const float> in = staging_.In(x);
  cuda::Add(&queue_, in, staging_.InOut(accumulator));
  staging_.Finish();
}

void CudaBackend::AddRmsNorm(Matrix<const float> x, Matrix<float> accumulator,
                             Vector<const float> gain, float epsilon,
                             Matrix<float> output) {
  SUBGEN_CHECK(x.rows == accumulator.rows && x.cols == accumulator.cols &&
               static_cast<int64_t>(gain.size()) == x.cols &&
               output.cols == x.cols && output.rows == x.rows);
  const Matrix<const float> in = staging_.In(x);
  const NormGain gains = {staging_.In(gain), epsilon};
  const Matrix<float> sums = staging_.InOut(accumulator);
  cuda::AddRmsNorm(&queue_, in, sums, gains, staging_.Out(output));
  staging_.Finish();
}

void CudaBackend::AddRow(Vector<const float> row, Matrix<float> matrix) {
  SUBGEN_CHECK(static_cast<int64_t>(row.size()) == matrix.cols);
  const float* const in = staging_.In(row);
  cuda::AddRow(&queue_, in, staging_.InOut(matrix));
  staging_.Finish();
}

void CudaBackend::Top(Matrix<const float> rows, Vector<const float> scales,
                      Matrix<float> output) {
  CheckTop(rows, scales, output);
  const Matrix<const float> in = staging_.In(rows);
  const float* const of_rows = staging_.In(scales);
  cuda::Top(&staging_, in, of_rows, staging_.Out(output));
  staging_.Finish();
}

}  // namespace cuda

absl::StatusOr<std::unique_ptr<Backend>> MakeCudaBackend(int device) {
  const absl::StatusOr<int> processors = cuda::OpenDevice(device);
  if (!processors.ok()) {
    return absl::FailedPreconditionError(
        absl::StrCat("backend 'cuda': ", processors.status().message()));
  }
  return std::make_unique<cuda::CudaBackend>(device, *processors);
}

}  // namespace subgen
