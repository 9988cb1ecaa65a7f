// Owns memory of a device, and the host memory that copies to it go through;
// both are move-only. Running out of either in mid-work is Fatal.
#pragma once

#include <cstdint>
#include <utility>

#include "kernels/cuda/runtime/cuda_error.h"

namespace subgen::cuda {

struct DeviceMemoryKind {
  static cudaError_t Allocate(void** memory, size_t bytes) {
    return cudaMalloc(memory, bytes);
  }
  static void Free(void* memory) { cudaFree(memory); }
};
struct PinnedMemoryKind {
  static cudaError_t Allocate(void** memory, size_t bytes) {
    return cudaMallocHost(memory, bytes);
  }
  static void Free(void* memory) { cudaFreeHost(memory); }
};

// The memory is not filled, and is 256-byte aligned.
template <class Kind>
class Memory {
 public:
  Memory() = default;
  explicit Memory(size_t bytes) {
    CheckCuda(TryMake(bytes, this), "memory allocation");
  }
  // `made` is empty after an error.
  static cudaError_t TryMake(size_t bytes, Memory* made) {
    Memory memory;
    void* data = nullptr;
    if (bytes > 0) {
      const cudaError_t error = Kind::Allocate(&data, bytes);
      if (error != cudaSuccess) return error;
    }
    memory.data_ = static_cast<uint8_t*>(data);
    memory.bytes_ = bytes;
    *made = std::move(memory);
    return cudaSuccess;
  }
  ~Memory() {
    if (data_ != nullptr) Kind::Free(data_);
  }
  Memory(Memory&& other) noexcept { *this = std::move(other); }
  Memory& operator=(Memory&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }

  uint8_t* data() const { return data_; }
  size_t bytes() const { return bytes_; }

 private:
  uint8_t* data_ = nullptr;
  size_t bytes_ = 0;
};
using DeviceMemory = Memory<DeviceMemoryKind>;
using PinnedMemory = Memory<PinnedMemoryKind>;

}  // namespace subgen::cuda
