// Operands of one operation: In, Out and InOut give the device addresses of
// host views, Upload sends what is not there yet, and after the kernels Finish
// brings results back. Mirrored memory is used where it lies, and only what the
// host wrote of it is sent; other memory is copied to the device and back, for
// which Finish waits. Addresses are good until Finish. Memory grows to the
// largest operation's and stays.
#pragma once

#include <map>
#include <utility>
#include <vector>

#include "kernels/cuda/device_memory.h"
#include "kernels/cuda/device_mirror.h"
#include "kernels/memory/view.h"

namespace subgen::cuda {

class Staging {
 public:
  Staging(cudaStream_t stream, DeviceMirror* mirror)
      : stream_(stream), mirror_(mirror) {}

  // The same host memory twice is sent once. Null for an empty view.
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
  float* Scratch(int64_t floats);

  void Upload();
  void Finish();

 private:
  struct Area {
    PinnedMemory host;  // empty for scratch
    DeviceMemory device;
    size_t used = 0;
    size_t sent = 0;  // of those used
  };
  struct Place {
    uint8_t* host = nullptr;
    uint8_t* device = nullptr;
  };
  struct Send {
    const uint8_t* from;  // pinned
    uint8_t* to;
    size_t bytes;
  };
  struct Return {
    Matrix<uint8_t> to;
    const uint8_t* from;  // pinned
    const uint8_t* device;
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
  static Place Take(std::vector<Area>* areas, size_t bytes, bool with_host);
  static void Reset(std::vector<Area>* areas);
  // Sends what the host has newer of a mirrored range.
  void SendNewer(const MirroredRange& range, int64_t bytes);
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

  const cudaStream_t stream_;
  DeviceMirror* const mirror_;
  std::vector<Area> in_, out_, scratch_;
  std::map<std::pair<const void*, size_t>, const uint8_t*> known_;
  std::vector<Send> sends_;
  std::vector<Return> returns_;
};

}  // namespace subgen::cuda
