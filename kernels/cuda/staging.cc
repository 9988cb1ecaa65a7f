#include "kernels/cuda/staging.h"

#include <algorithm>
#include <cstring>

namespace subgen::cuda {
namespace {

constexpr size_t kAlignment = 256;
constexpr size_t kLeastArea = size_t{1} << 20;
// Copies that may wait for the stream before it is waited for.
constexpr size_t kMostPending = size_t{64} << 20;

// Packs them.
void CopyRows(const Matrix<uint8_t>& from, uint8_t* to) {
  for (int64_t i = 0; i < from.rows; ++i) {
    std::copy_n(from.row(i).data(), from.cols, to + i * from.cols);
  }
}

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

void Staging::Reset(std::vector<Area>* areas) {
  // The last is the largest: room for the next operation of this size.
  if (areas->size() > 1) areas->erase(areas->begin(), areas->end() - 1);
  if (!areas->empty()) areas->back().used = areas->back().sent = 0;
}

void Staging::SendNewer(const MirroredRange& range, int64_t bytes) {
  std::vector<int64_t> sizes;
  const auto parts = mirror_->TakeNewer(range, bytes, &sizes);
  for (size_t i = 0; i < parts.size(); ++i) {
    // By a copy: the host may write there again before the stream has read it.
    const Place place = Take(&out_, sizes[i], true);
    std::memcpy(place.host, parts[i].host, sizes[i]);
    sends_.push_back(
        {place.host, parts[i].device, static_cast<size_t>(sizes[i])});
  }
}

const uint8_t* Staging::InBytes(const void* host, size_t bytes) {
  if (bytes == 0) return nullptr;
  const uint8_t*& known = known_[{host, bytes}];
  if (known != nullptr) return known;
  if (const MirroredRange range = mirror_->Find(host, bytes); range.host) {
    SendNewer(range, bytes);
    return known = range.device;
  }
  const Place place = Take(&in_, bytes, true);
  std::memcpy(place.host, host, bytes);
  return known = place.device;
}

Matrix<const float> Staging::In(Matrix<const float> host) {
  constexpr int64_t size = sizeof(float);
  const Matrix<uint8_t> bytes(
      const_cast<uint8_t*>(reinterpret_cast<const uint8_t*>(host.data)),
      host.rows, host.cols * size, host.stride * size);
  const int64_t span = Span(bytes);
  if (const MirroredRange range = mirror_->Find(host.data, span);
      range.host != nullptr) {
    SendNewer(range, span);
    return {reinterpret_cast<const float*>(range.device), host.rows, host.cols,
            host.stride};
  }
  const Place place = Take(&in_, bytes.rows * bytes.cols, true);
  CopyRows(bytes, place.host);
  return {reinterpret_cast<const float*>(place.device), host.rows, host.cols};
}

Matrix<uint8_t> Staging::ResultBytes(Matrix<uint8_t> host, bool send) {
  const int64_t span = Span(host);
  if (const MirroredRange range = mirror_->Find(host.data, span);
      range.host != nullptr) {
    if (send) SendNewer(range, span);
    const bool packed = host.stride == host.cols;
    for (int64_t i = 0; i < (packed ? 1 : host.rows); ++i) {
      mirror_->WrittenByDevice(
          {range.host + i * host.stride, range.device + i * host.stride},
          packed ? span : host.cols);
    }
    return {range.device, host.rows, host.cols, host.stride};
  }
  const size_t bytes = host.rows * host.cols;
  const Place place = Take(&out_, bytes, true);
  if (send) {
    CopyRows(host, place.host);
    sends_.push_back({place.host, place.device, bytes});
  }
  returns_.push_back({host, place.host, place.device});
  return {place.device, host.rows, host.cols};
}

float* Staging::Scratch(int64_t floats) {
  return reinterpret_cast<float*>(
      Take(&scratch_, floats * sizeof(float), false).device);
}

void Staging::Upload() {
  for (Area& area : in_) {
    if (area.used == area.sent) continue;
    sends_.push_back({area.host.data() + area.sent,
                      area.device.data() + area.sent, area.used - area.sent});
    area.sent = area.used;
  }
  for (const Send& send : sends_) {
    CheckCuda(cudaMemcpyAsync(send.to, send.from, send.bytes,
                              cudaMemcpyHostToDevice, stream_),
              "copy to the device");
  }
  sends_.clear();
}

void Staging::Finish() {
  for (const Return& result : returns_) {
    const size_t bytes = result.to.rows * result.to.cols;
    if (bytes == 0) continue;
    CheckCuda(cudaMemcpyAsync(const_cast<uint8_t*>(result.from), result.device,
                              bytes, cudaMemcpyDeviceToHost, stream_),
              "copy from the device");
  }
  size_t pending = 0;
  for (const std::vector<Area>* areas : {&in_, &out_}) {
    for (const Area& area : *areas) pending += area.used;
  }
  const bool wait = !returns_.empty() || pending > kMostPending;
  if (wait) CheckCuda(cudaStreamSynchronize(stream_), "a kernel");
  for (const Return& result : returns_) {
    for (int64_t i = 0; i < result.to.rows; ++i) {
      std::copy_n(result.from + i * result.to.cols, result.to.cols,
                  result.to.row(i).data());
    }
  }
  if (wait) {
    mirror_->CountWait();
    Reset(&in_);
    Reset(&out_);
  }
  returns_.clear();
  known_.clear();
  Reset(&scratch_);  // the stream is in order
}

}  // namespace subgen::cuda
