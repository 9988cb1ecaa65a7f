#include "kernels/cuda/staging.h"

#include <algorithm>
#include <cstring>

namespace subgen::cuda {
namespace {

constexpr size_t kAlignment = 256;
constexpr size_t kLeastArea = size_t{1} << 20;

}  // namespace

Staging::Place Staging::Take(std::vector<Area>* areas, size_t bytes,
                             bool with_host) {
  const size_t size = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  if (areas->empty() ||
      areas->back().used + size > areas->back().device.bytes()) {
    const size_t before = areas->empty() ? 0 : areas->back().device.bytes();
    Area area;
    const size_t most = std::max({kLeastArea, size, 2 * before});
    if (with_host) area.host = PinnedMemory(most);
    area.device = DeviceMemory(most);
    areas->push_back(std::move(area));
  }
  Area& area = areas->back();
  const Place place = {with_host ? area.host.data() + area.used : nullptr,
                       area.device.data() + area.used};
  area.used += size;
  return place;
}

const uint8_t* Staging::InBytes(const void* host, size_t bytes) {
  if (bytes == 0) return nullptr;
  const uint8_t*& known = sent_[{host, bytes}];
  if (known != nullptr) return known;
  const Place place = Take(&in_, bytes, true);
  std::memcpy(place.host, host, bytes);
  known = place.device;
  return known;
}

Matrix<const float> Staging::In(Matrix<const float> host) {
  const Place place = Take(&in_, host.rows * host.cols * sizeof(float), true);
  float* to = reinterpret_cast<float*>(place.host);
  for (int64_t i = 0; i < host.rows; ++i) {
    std::copy_n(host.row(i).data(), host.cols, to + i * host.cols);
  }
  return {reinterpret_cast<const float*>(place.device), host.rows, host.cols};
}

Matrix<float> Staging::Result(Matrix<float> host, bool send) {
  const Place place = Take(&out_, host.rows * host.cols * sizeof(float), true);
  float* to = reinterpret_cast<float*>(place.host);
  for (int64_t i = 0; send && i < host.rows; ++i) {
    std::copy_n(host.row(i).data(), host.cols, to + i * host.cols);
  }
  returns_.push_back({host, place.host});
  return {reinterpret_cast<float*>(place.device), host.rows, host.cols};
}

float* Staging::Scratch(int64_t floats) {
  return reinterpret_cast<float*>(
      Take(&scratch_, floats * sizeof(float), false).device);
}

void Staging::Upload() {
  for (std::vector<Area>* areas : {&in_, &out_}) {
    for (const Area& area : *areas) {
      if (area.used == 0) continue;
      CheckCuda(cudaMemcpyAsync(area.device.data(), area.host.data(), area.used,
                                cudaMemcpyHostToDevice, stream_),
                "copy to the device");
    }
  }
}

void Staging::Finish() {
  for (const Area& area : out_) {
    if (area.used == 0) continue;
    CheckCuda(cudaMemcpyAsync(area.host.data(), area.device.data(), area.used,
                              cudaMemcpyDeviceToHost, stream_),
              "copy from the device");
  }
  CheckCuda(cudaStreamSynchronize(stream_), "a kernel");
  for (const Return& result : returns_) {
    const float* from = reinterpret_cast<const float*>(result.from);
    for (int64_t i = 0; i < result.to.rows; ++i) {
      std::copy_n(from + i * result.to.cols, result.to.cols,
                  result.to.row(i).data());
    }
  }
  returns_.clear();
  sent_.clear();
  for (std::vector<Area>* areas : {&in_, &out_, &scratch_}) {
    // The last is the largest: room for the next operation of this size.
    if (areas->size() > 1) areas->erase(areas->begin(), areas->end() - 1);
    if (!areas->empty()) areas->back().used = 0;
  }
}

}  // namespace subgen::cuda
