#include "kernels/cuda/dense/kept_weights.h"

#include "absl/strings/str_cat.h"

namespace subgen::cuda {

absl::Status KeptWeights::Keep(const WeightMatrix& weight) {
  if (weights_.contains(KeyOf(weight))) return absl::OkStatus();
  queue_.Use();
  DeviceMemory memory;
  const size_t width = weight.row_bytes(), bytes = weight.rows * width;
  if (DeviceMemory::TryMake(bytes, &memory) != cudaSuccess) {
    cudaGetLastError();  // it is dealt with
    return absl::ResourceExhaustedError(absl::StrCat(
        "device ", queue_.device(), " has no room for a matrix of ", bytes,
        " bytes, after ", bytes_,
        " bytes of weights: use more ranks or a smaller model"));
  }
  if (bytes > 0) {
    CheckCuda(cudaMemcpy2DAsync(memory.data(), width, weight.data,
                                weight.row_stride, width, weight.rows,
                                cudaMemcpyHostToDevice, queue_.stream()),
              "copy of a weight");
    CheckCuda(cudaStreamSynchronize(queue_.stream()), "copy of a weight");
  }
  bytes_ += bytes;
  weights_[KeyOf(weight)] = std::move(memory);
  return absl::OkStatus();
}

WeightMatrix KeptWeights::Find(const WeightMatrix& weight) const {
  WeightMatrix on_device = weight;
  on_device.row_stride = weight.row_bytes();
  const auto found = weights_.find(KeyOf(weight));
  on_device.data =
      found == weights_.end()
          ? nullptr
          : reinterpret_cast<const std::byte*>(found->second.data());
  return on_device;
}

const uint8_t* KeptWeights::Bytes(const std::string& bytes) {
  DeviceMemory& kept = numbers_[bytes];
  if (kept.bytes() < bytes.size()) {
    queue_.Use();
    kept = DeviceMemory(bytes.size());
    CheckCuda(cudaMemcpyAsync(kept.data(), bytes.data(), bytes.size(),
                              cudaMemcpyHostToDevice, queue_.stream()),
              "copy of numbers");
    CheckCuda(cudaStreamSynchronize(queue_.stream()), "copy of numbers");
  }
  return kept.data();
}

}  // namespace subgen::cuda
