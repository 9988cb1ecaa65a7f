// Operands of one operation: In, Out and InOut give the device addresses of
// host views, and after the operation's commands were appended Finish brings
// results back. Mirrored memory is used where it lies, and only what the host
// wrote of it is sent; other memory is staged, as it is now, and for results
// that go to such memory Finish runs the queue. Addresses are good until
// Finish.
#pragma once

#include <map>
#include <utility>
#include <vector>

#include "kernels/cuda/runtime/device_mirror.h"
#include "kernels/cuda/runtime/queue.h"
#include "kernels/memory/view.h"

namespace subgen::cuda {

class Staging {
 public:
  Staging(Queue* queue, DeviceMirror* mirror)
      : queue_(*queue), mirror_(*mirror) {}

  Queue* queue() { return &queue_; }

  // The same host memory twice is staged once. Null for an empty view.
  template <class T>
  const T* In(Vector<const T> host) {
    return reinterpret_cast<const T*>(InBytes(host.data(), host.size_bytes()));
  }
  const uint8_t* InBytes(const void* host, size_t bytes);
  Matrix<const float> In(Matrix<const float> host);
  // What lies there after Finish is what the device wrote.
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
  // On the device alone; not filled.
  float* Scratch(int64_t floats) {
    return static_cast<float*>(queue_.Scratch(floats * sizeof(float)));
  }
  // Room for the caller to fill, which is an operand then.
  template <class T>
  std::pair<T*, const T*> Stage(int64_t count) {
    const ArenaPlace place = queue_.Stage(count * sizeof(T));
    return {reinterpret_cast<T*>(place.host),
            reinterpret_cast<const T*>(place.device)};
  }

  void Finish();

 private:
  struct Return {
    Matrix<uint8_t> to;
    const uint8_t* device;
    uint8_t* pinned;  // on the way
  };
  template <class T>
  static Matrix<T> View(Matrix<uint8_t> bytes) {
    constexpr int64_t size = sizeof(T);
    return {reinterpret_cast<T*>(bytes.data), bytes.rows, bytes.cols / size,
            bytes.stride / size};
  }
  // From the first byte to the last.
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

  Queue& queue_;
  DeviceMirror& mirror_;
  Arena results_{Arena::Sides::kBoth};  // of returns
  std::map<std::pair<const void*, size_t>, const uint8_t*> known_;
  std::vector<Return> returns_;
};

}  // namespace subgen::cuda
