#include "kernels/cuda/device_mirror.h"

#include <cstring>

namespace subgen::cuda {

void* DeviceMirror::Allocate(int64_t bytes) {
  CheckCuda(cudaSetDevice(device_), "device");
  Region region;
  region.host = PinnedMemory(bytes);
  region.device = DeviceMemory(bytes);
  std::memset(region.host.data(), 0, bytes);
  CheckCuda(cudaMemsetAsync(region.device.data(), 0, bytes, stream_),
            "clearing memory");
  void* const memory = region.host.data();
  regions_.emplace(region.host.data(), std::move(region));
  return memory;
}

void DeviceMirror::Free(void* memory) {
  // Kernels that still use it.
  CheckCuda(cudaStreamSynchronize(stream_), "a kernel");
  SUBGEN_CHECK(regions_.erase(static_cast<uint8_t*>(memory)) == 1);
}

DeviceMirror::Region* DeviceMirror::Holding(const void* memory, int64_t bytes) {
  const auto* at = static_cast<const uint8_t*>(memory);
  auto found = regions_.upper_bound(at);
  if (found == regions_.begin()) return nullptr;
  Region& region = std::prev(found)->second;
  const ByteRange range = region.Range(memory, bytes);
  const int64_t size = region.host.bytes();
  if (range.first >= size) return nullptr;
  SUBGEN_CHECK(range.end <= size, "memory over the end of a mirrored buffer");
  return &region;
}

void DeviceMirror::WrittenByHost(const void* memory, int64_t bytes) {
  Region* const region = Holding(memory, bytes);
  if (region == nullptr) return;
  const ByteRange range = region->Range(memory, bytes);
  region->host_newer.Add(range);
  region->device_newer.Remove(range);
}

void DeviceMirror::ReadByHost(const void* memory, int64_t bytes) {
  Region* const region = Holding(memory, bytes);
  if (region == nullptr) return;
  const ByteRange range = region->Range(memory, bytes);
  const auto newer = region->device_newer.Within(range);
  if (newer.empty()) return;
  for (const auto& [first, end] : newer) {
    CheckCuda(cudaMemcpyAsync(region->host.data() + first,
                              region->device.data() + first, end - first,
                              cudaMemcpyDeviceToHost, stream_),
              "copy from the device");
  }
  CheckCuda(cudaStreamSynchronize(stream_), "a kernel");
  CountWait();
  region->device_newer.Remove(range);
}

MirroredRange DeviceMirror::Find(const void* memory, int64_t bytes) {
  Region* const region = Holding(memory, bytes);
  if (region == nullptr) return {};
  const int64_t first = region->Range(memory, bytes).first;
  return {region->host.data() + first, region->device.data() + first};
}

std::vector<MirroredRange> DeviceMirror::TakeNewer(
    const MirroredRange& range, int64_t bytes, std::vector<int64_t>* sizes) {
  Region* const region = Holding(range.host, bytes);
  std::vector<MirroredRange> parts;
  const ByteRange wanted = region->Range(range.host, bytes);
  for (const auto& [first, end] : region->host_newer.Within(wanted)) {
    parts.push_back(
        {region->host.data() + first, region->device.data() + first});
    sizes->push_back(end - first);
  }
  region->host_newer.Remove(wanted);
  return parts;
}

void DeviceMirror::WrittenByDevice(const MirroredRange& range, int64_t bytes) {
  Region* const region = Holding(range.host, bytes);
  const ByteRange written = region->Range(range.host, bytes);
  region->device_newer.Add(written);
  region->host_newer.Remove(written);
}

}  // namespace subgen::cuda
