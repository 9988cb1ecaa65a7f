// A buffer is owning, move-only, 64-byte aligned host memory, of which a device
// may keep a copy (mirror.h).
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <type_traits>
#include <utility>

#include "kernels/memory/mirror.h"
#include "kernels/memory/view.h"

namespace subgen {

template <class T>
class Buffer {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  Buffer() = default;
  // The memory is zero-filled. The mirror, if there is one, must outlive the
  // buffer.
  explicit Buffer(int64_t size, Mirror* mirror = nullptr)
      : Buffer(0, size, mirror) {}
  // The memory is zero-filled from element `first` on; the caller writes the
  // elements before it.
  static Buffer ZeroFrom(int64_t first, int64_t size, Mirror* mirror) {
    return Buffer(first, size, mirror);
  }
  Buffer(Buffer&& other) noexcept { *this = std::move(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    data_ = std::move(other.data_);
    size_ = std::exchange(other.size_, 0);
    return *this;
  }

  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }
  int64_t size() const { return size_; }
  int64_t bytes() const { return size_ * sizeof(T); }
  T& operator[](int64_t i) { return data_.get()[i]; }
  const T& operator[](int64_t i) const { return data_.get()[i]; }
  Vector<T> span() { return {data(), static_cast<size_t>(size_)}; }
  Vector<const T> span() const { return {data(), static_cast<size_t>(size_)}; }

  // Returns a [rows, cols] view of the front of the buffer.
  Matrix<T> matrix(int64_t rows, int64_t cols) {
    SUBGEN_CHECK(rows * cols <= size_);
    return {data(), rows, cols};
  }

 private:
  Buffer(int64_t first_zero, int64_t size, Mirror* mirror) : size_(size) {
    SUBGEN_CHECK(first_zero >= 0 && size >= first_zero);
    if (size == 0) return;
    if (mirror != nullptr) {
      void* memory = mirror->Allocate(size * sizeof(T));
      data_ = {static_cast<T*>(memory), Free{mirror}};
      return;
    }
    const size_t bytes = (size * sizeof(T) + 63) / 64 * 64;
    data_.reset(static_cast<T*>(std::aligned_alloc(64, bytes)));
    if (data_ == nullptr) OutOfMemory(bytes);
    std::memset(static_cast<void*>(data_.get() + first_zero), 0,
                bytes - first_zero * sizeof(T));
  }

  struct Free {
    Mirror* mirror = nullptr;
    void operator()(T* data) const {
      if (mirror != nullptr) {
        mirror->Free(data);
      } else {
        std::free(data);
      }
    }
  };
  std::unique_ptr<T, Free> data_;
  int64_t size_ = 0;
};

}  // namespace subgen
