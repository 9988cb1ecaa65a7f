// Operands of one operation on their way from host memory to the device and
// back: In, Out and InOut give device addresses, Upload sends what was put in,
// and after the kernels Finish brings results back and waits for the stream.
// Addresses are good until Finish. Memory grows to the largest operation's and
// stays.
#pragma once

#include <map>
#include <utility>
#include <vector>

#include "kernels/cuda/device_memory.h"
#include "kernels/memory/view.h"

namespace subgen::cuda {

class Staging {
 public:
  explicit Staging(cudaStream_t stream) : stream_(stream) {}

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
  float* Out(Vector<float> host) { return Result(AsMatrix(host), false).data; }
  float* InOut(Vector<float> host) { return Result(AsMatrix(host), true).data; }
  // On the device alone; not filled.
  float* Scratch(int64_t floats);

  void Upload();
  void Finish();

 private:
  struct Area {
    PinnedMemory host;  // empty for scratch
    DeviceMemory device;
    size_t used = 0;
  };
  struct Place {
    uint8_t* host = nullptr;
    uint8_t* device = nullptr;
  };
  struct Return {
    Matrix<float> to;
    const uint8_t* from;  // pinned
  };
  static Matrix<float> AsMatrix(Vector<float> host) {
    return {host.data(), 1, static_cast<int64_t>(host.size())};
  }
  static Place Take(std::vector<Area>* areas, size_t bytes, bool with_host);
  Matrix<float> Result(Matrix<float> host, bool send);

  cudaStream_t stream_;
  std::vector<Area> in_, out_, scratch_;
  std::map<std::pair<const void*, size_t>, const uint8_t*> sent_;
  std::vector<Return> returns_;
};

}  // namespace subgen::cuda
