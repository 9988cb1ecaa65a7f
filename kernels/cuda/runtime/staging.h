// Finds the operands of operations on a queue: where host views lie on the
// device.
#pragma once

#include <cstddef>
#include <map>
#include <utility>
#include <vector>

#include "kernels/cuda/runtime/device_mirror.h"
#include "kernels/cuda/runtime/queue.h"
#include "kernels/memory/view.h"

namespace subgen::cuda {

// This outlives an operation: memory that results come back through.
class Staging {
 public:
  Staging(Queue* queue, DeviceMirror* mirror)
      : queue_(*queue), mirror_(*mirror) {}

  Queue* queue() { return &queue_; }

 private:
  friend class Operation;
  struct Return {
    Matrix<uint8_t> to;
    const uint8_t* device;
    uint8_t* pinned;  // on the way
  };

  Queue& queue_;
  DeviceMirror& mirror_;
  Arena results_{Arena::Sides::kBoth};  // of returns
  std::map<std::pair<const void*, size_t>, const uint8_t*> known_;
  std::vector<Return> returns_;
  bool in_operation_ = false;
};

// This is one operation, from before its first operand until all its commands
// were appended, which is when it goes out of scope; there is one at a time.
// In, Out and InOut give the device addresses of host views, which are good
// until then. Mirrored memory is used where it lies, and only what the host
// wrote of it is sent. Other memory is staged as it is now; for results that go
// to such memory, the end of the operation runs the queue and brings them back.
class Operation {
 public:
  explicit Operation(Staging* staging);
  ~Operation();
  Operation(const Operation&) = delete;

  Queue* queue() { return staging_.queue(); }

  // Host memory that is given twice is staged once. Returns null for an empty
  // view.
  template <class T>
  const T* In(Vector<const T> host) {
    return reinterpret_cast<const T*>(InBytes(host.data(), host.size_bytes()));
  }
  const uint8_t* InBytes(const void* host, size_t bytes);
  Matrix<const float> In(Matrix<const float> host);
  // After the operation, what lies there is what the device wrote.
  Matrix<float> Out(Matrix<float> host) { return Result(host, false); }
  Matrix<float> InOut(Matrix<float> host) { return Result(host, true); }
  template <class T>
  T* Out(Vector<T> host) {
    return Result(Matrix<T>(host.data(), 1, host.size()), false).data;
  }
  template <class T>
  T* InOut(Vector<T> host) {
    return Result(Matrix<T>(host.data(), 1, host.size()), true).data;
  }
  uint8_t* OutBytes(std::byte* host, size_t bytes) {
    return Out(Vector<uint8_t>(reinterpret_cast<uint8_t*>(host), bytes));
  }
  uint8_t* InOutBytes(std::byte* host, size_t bytes) {
    return InOut(Vector<uint8_t>(reinterpret_cast<uint8_t*>(host), bytes));
  }
  // Returns room on the device alone, not filled.
  float* Scratch(int64_t floats) {
    return static_cast<float*>(queue()->Scratch(floats * sizeof(float)));
  }
  // Returns room for the caller to fill, which is an operand then.
  template <class T>
  std::pair<T*, const T*> Stage(int64_t count) {
    const ArenaPlace place = queue()->Stage(count * sizeof(T));
    return {reinterpret_cast<T*>(place.host),
            reinterpret_cast<const T*>(place.device)};
  }

 private:
  template <class T>
  static Matrix<T> View(Matrix<uint8_t> bytes) {
    constexpr int64_t size = sizeof(T);
    return {reinterpret_cast<T*>(bytes.data), bytes.rows, bytes.cols / size,
            bytes.stride / size};
  }
  // Returns the bytes from the first to the last.
  static int64_t Span(const Matrix<uint8_t>& bytes) {
    return bytes.rows == 0 ? 0 : (bytes.rows - 1) * bytes.stride + bytes.cols;
  }
  template <class T>
  Matrix<T> Result(Matrix<T> host, bool send) {
    constexpr int64_t size = sizeof(T);
    return View<T>(ResultBytes(
        {const_cast<uint8_t*>(reinterpret_cast<const uint8_t*>(host.data)),
         host.rows, host.cols * size, host.stride * size},
        send));
  }
  // Sizes are in bytes.
  Matrix<uint8_t> ResultBytes(Matrix<uint8_t> host, bool send);

  Staging& staging_;
};

}  // namespace subgen::cuda
