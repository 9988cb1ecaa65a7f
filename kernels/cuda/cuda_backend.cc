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

// Returns a place on the device with rows of a matrix, packed: row ids[i], or
// row i if ids is null.
const std::byte* SendRows(const WeightMatrix& weight, int64_t rows,
                          const int* ids, Operation* operation) {
  const int64_t bytes = weight.row_bytes();
  const auto [host, device] = operation->Stage<std::byte>(rows * bytes);
  for (int64_t i = 0; i < rows; ++i) {
    std::copy_n(weight.row(ids == nullptr ? i : ids[i]), bytes,
                host + i * bytes);
  }
  return device;
}

}  // namespace

CudaBackend::CudaBackend(int device, int processors)
    : blocks_(int64_t{kBlocksOfProcessor} * processors), queue_(device) {}

WeightMatrix CudaBackend::OnDevice(const WeightMatrix& weight,
                                   Operation* operation) {
  WeightMatrix on_device = kept_.Find(weight);
  if (on_device.data != nullptr) return on_device;
  on_device.data = SendRows(weight, weight.rows, nullptr, operation);
  return on_device;
}

DeviceProduct CudaBackend::OnDevice(Matrix<const float> input,
                                    const LinearProduct& product,
                                    Operation* operation) {
  const auto& [weight, output] = product;
  SUBGEN_CHECK(input.cols == weight->cols && output.cols == weight->rows &&
               input.rows == output.rows);
  const WeightMatrix on_device = OnDevice(*weight, operation);
  return {on_device, operation->Out(output)};
}

void CudaBackend::Linears(Matrix<const float> input,
                          Vector<const LinearProduct> products) {
  Operation operation(&staging_);
  const Matrix<const float> in = operation.In(input);
  products_.clear();
  for (const LinearProduct& product : products) {
    products_.push_back(OnDevice(input, product, &operation));
  }
  cuda::Linears(&queue_, in, products_);
}

void CudaBackend::Embed(const WeightMatrix& table, Vector<const int> ids,
                        Matrix<float> output) {
  Operation operation(&staging_);
  SUBGEN_CHECK(output.cols == table.cols &&
               output.rows == static_cast<int64_t>(ids.size()));
  for (const int id : ids) SUBGEN_CHECK(id >= 0 && id < table.rows, id);
  WeightMatrix on_device = kept_.Find(table);
  const int* rows = nullptr;
  if (on_device.data != nullptr) {
    rows = operation.In(ids);
  } else {
    on_device.data = SendRows(table, ids.size(), ids.data(), &operation);
  }
  cuda::Embed(&queue_, on_device, rows, operation.Out(output));
}

void CudaBackend::RmsNorm(Matrix<const float> input, Vector<const float> gain,
                          float epsilon, Matrix<float> output) {
  Operation operation(&staging_);
  SUBGEN_CHECK(static_cast<int64_t>(gain.size()) == input.cols &&
               output.cols == input.cols && output.rows == input.rows);
  const Matrix<const float> in = operation.In(input);
  const NormGain gains = {operation.In(gain), epsilon};
  cuda::RmsNorm(&queue_, in, gains, operation.Out(output));
}

void CudaBackend::GatedSilu(Matrix<const float> up, Matrix<float> gate) {
  Operation operation(&staging_);
  SUBGEN_CHECK(up.rows == gate.rows && up.cols == gate.cols);
  const Matrix<const float> in = operation.In(up);
  cuda::GatedSilu(&queue_, in, operation.InOut(gate));
}

void CudaBackend::GatedLinears(Matrix<const float> input,
                               const LinearProduct& up,
                               const LinearProduct& gate) {
  Operation operation(&staging_);
  SUBGEN_CHECK(up.weight->rows == gate.weight->rows);
  const Matrix<const float> in = operation.In(input);
  const DeviceProduct ups = OnDevice(input, up, &operation);
  cuda::GatedLinears(&queue_, in, ups, OnDevice(input, gate, &operation));
}

void CudaBackend::Add(Matrix<const float> x, Matrix<float> accumulator) {
  Operation operation(&staging_);
  SUBGEN_CHECK(x.rows == accumulator.rows && x.cols == accumulator.cols);
  const Matrix<const float> in = operation.In(x);
  cuda::Add(&queue_, in, operation.InOut(accumulator));
}

void CudaBackend::AddRmsNorm(Matrix<const float> x, Matrix<float> accumulator,
                             Vector<const float> gain, float epsilon,
                             Matrix<float> output) {
  Operation operation(&staging_);
  SUBGEN_CHECK(x.rows == accumulator.rows && x.cols == accumulator.cols &&
               static_cast<int64_t>(gain.size()) == x.cols &&
               output.cols == x.cols && output.rows == x.rows);
  const Matrix<const float> in = operation.In(x);
  const NormGain gains = {operation.In(gain), epsilon};
  const Matrix<float> sums = operation.InOut(accumulator);
  cuda::AddRmsNorm(&queue_, in, sums, gains, operation.Out(output));
}

void CudaBackend::AddRow(Vector<const float> row, Matrix<float> matrix) {
  Operation operation(&staging_);
  SUBGEN_CHECK(static_cast<int64_t>(row.size()) == matrix.cols);
  const float* const in = operation.In(row);
  cuda::AddRow(&queue_, in, operation.InOut(matrix));
}

void CudaBackend::Top(Matrix<const float> rows, Vector<const float> scales,
                      Matrix<float> output) {
  Operation operation(&staging_);
  CheckTop(rows, scales, output);
  const Matrix<const float> in = operation.In(rows);
  const float* const of_rows = operation.In(scales);
  cuda::Top(&operation, in, of_rows, operation.Out(output));
}

Staging* StagingOf(Backend& backend) {
  auto* const cuda = dynamic_cast<CudaBackend*>(&backend);
  return cuda == nullptr ? nullptr : cuda->staging();
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
