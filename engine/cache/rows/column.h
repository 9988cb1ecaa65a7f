// A column is one array of a cache, with a fixed number of elements per row. It
// grows by an eighth at a time, to a multiple of `step`, so that memory stays
// near what is used, and never over its limit, so that a full cache is exactly
// as large as planned.
#pragma once

#include <algorithm>
#include <cstring>

#include "absl/status/status.h"
#include "engine/cache/rows/serial.h"
#include "kernels/base/status_macros.h"
#include "kernels/memory/buffer.h"

namespace subgen {

// These are the bytes that hold something, and those that were allocated for
// it.
struct ByteUse {
  int64_t used = 0;
  int64_t reserved = 0;

  static ByteUse All(int64_t bytes) { return {bytes, bytes}; }
  ByteUse& operator+=(const ByteUse& other) {
    used += other.used;
    reserved += other.reserved;
    return *this;
  }
  friend ByteUse operator+(ByteUse a, const ByteUse& b) { return a += b; }
};

template <class T>
class Column {
 public:
  Column() = default;
  explicit Column(int64_t limit, int64_t width = 1, int64_t step = 64,
                  Mirror* mirror = nullptr)
      : limit_(limit), width_(width), step_(step), mirror_(mirror) {}

  int64_t size() const { return size_; }  // rows
  ByteUse bytes() const {
    return {size_ * width_ * static_cast<int64_t>(sizeof(T)), data_.bytes()};
  }
  T* row(int64_t i) { return data_.data() + i * width_; }
  const T* row(int64_t i) const { return data_.data() + i * width_; }
  T& operator[](int64_t i) { return data_[i * width_]; }
  const T& operator[](int64_t i) const { return data_[i * width_]; }
  Vector<T> span() { return {data_.data(), static_cast<size_t>(size_)}; }
  Vector<const T> span() const {
    return {data_.data(), static_cast<size_t>(size_)};
  }

  // Tells whether Resize to so many would leave the rows where they are.
  bool HasRoom(int64_t size) const {
    return width_ == 0 || size * width_ <= data_.size();
  }
  // New rows are zero, or what they were when the column was shorter.
  void Resize(int64_t size) {
    SUBGEN_CHECK(size >= 0 && size <= limit_, size, " of ", limit_);
    const int64_t capacity = width_ == 0 ? limit_ : data_.size() / width_;
    if (size > capacity) Reallocate(Grown(capacity, size));
    size_ = size;
  }

  // Tells the mirror, if there is one, that the host wrote these rows.
  void Written(int64_t first, int64_t count) {
    if (mirror_ == nullptr) return;
    mirror_->WrittenByHost(row(first), count * width_ * sizeof(T));
  }

  // Sets the limit from now on, and frees what is over it. The size must be at
  // most that.
  void SetLimit(int64_t limit) {
    SUBGEN_CHECK(size_ <= limit, size_, " over ", limit);
    limit_ = limit;
    if (data_.size() > limit * width_) Reallocate(limit);
  }

  void Save(ByteWriter* out) const {
    if (mirror_ != nullptr) {
      mirror_->ReadByHost(data_.data(), size_ * width_ * sizeof(T));
    }
    out->Put(size_);
    out->PutAll(Vector<const T>(data_.data(), size_ * width_));
  }
  // Refuses more rows than the limit.
  absl::Status Load(ByteReader* in) {
    int64_t size = 0;
    RETURN_IF_ERROR(in->Get(&size));
    const int64_t row_bytes = width_ * static_cast<int64_t>(sizeof(T));
    RETURN_IF_ERROR(
        CheckSaved(size >= 0 && size <= limit_ &&
                       (row_bytes == 0 || size <= in->left() / row_bytes),
                   "the number of rows"));
    Resize(size);
    RETURN_IF_ERROR(in->GetAll(Vector<T>(data_.data(), size_ * width_)));
    Written(0, size_);
    return absl::OkStatus();
  }

 private:
  int64_t Grown(int64_t capacity, int64_t size) const {
    const int64_t next = (capacity + capacity / 8 + step_) / step_ * step_;
    return std::min(limit_, std::max(size, next));
  }
  void Reallocate(int64_t rows) {
    const int64_t kept = std::min(rows * width_, data_.size());
    Buffer<T> grown = Buffer<T>::ZeroFrom(kept, rows * width_, mirror_);
    if (mirror_ != nullptr) {
      mirror_->Copy(grown.data(), data_.data(), kept * sizeof(T));
    } else if (kept > 0) {
      std::memcpy(grown.data(), data_.data(), kept * sizeof(T));
    }
    data_ = std::move(grown);
  }

  Buffer<T> data_;
  int64_t size_ = 0;
  int64_t limit_ = 0;
  int64_t width_ = 1;
  int64_t step_ = 64;
  Mirror* mirror_ = nullptr;
};

// These functions do what a sketch does with all its columns and stores, each
// in one place.
template <class... Parts>
ByteUse BytesOf(const Parts&... parts) {
  return (parts.bytes() + ...);
}
template <class... Parts>
void SaveAll(ByteWriter* out, const Parts&... parts) {
  (parts.Save(out), ...);
}
template <class... Parts>
absl::Status LoadAll(ByteReader* in, Parts*... parts) {
  absl::Status status;
  // It stops at the first that is damaged.
  static_cast<void>(((status = parts->Load(in)).ok() && ...));
  return status;
}
template <class... Parts>
void ResizeAll(int64_t rows, Parts*... parts) {
  (parts->Resize(rows), ...);
}
template <class... Parts>
void SetLimitOfAll(int64_t rows, Parts*... parts) {
  (parts->SetLimit(rows), ...);
}

}  // namespace subgen
