#include "kernels/cuda/runtime/device_mirror.h"

#include <algorithm>
#include <cstring>

namespace subgen::cuda {
namespace {

constexpr auto kBefore = [](const uint8_t* memory, const auto& place) {
  return memory < place.begin;
};

}  // namespace

void* DeviceMirror::Allocate(int64_t bytes) {
  queue_.Use();
  auto region = std::make_unique<MirroredRegion>();
  region->host = PinnedMemory(bytes);
  region->device = DeviceMemory(bytes);
  std::memset(region->host.data(), 0, bytes);
  // No command that waits knows this memory, so it may be cleared ahead of
  // them.
  CheckCuda(cudaMemsetAsync(region->device.data(), 0, bytes, queue_.stream()),
            "clearing memory");
  uint8_t* const memory = region->host.data();
  const auto at =
      std::upper_bound(places_.begin(), places_.end(), memory, kBefore);
  places_.insert(at, {memory, std::move(region)});
  return memory;
}

void DeviceMirror::Free(void* memory) {
  const auto after =
      std::upper_bound(places_.begin(), places_.end(),
                       static_cast<const uint8_t*>(memory), kBefore);
  SUBGEN_CHECK(after != places_.begin() && std::prev(after)->begin == memory);
  MirroredRegion& region = *std::prev(after)->region;
  queue_.Retire(std::move(region.device), std::move(region.host));
  places_.erase(std::prev(after));
}

MirroredRange DeviceMirror::Find(const void* memory, int64_t bytes) const {
  const auto* at = static_cast<const uint8_t*>(memory);
  const auto after =
      std::upper_bound(places_.begin(), places_.end(), at, kBefore);
  if (after == places_.begin()) return {};
  const Place& place = *std::prev(after);
  const int64_t first = at - place.begin, size = place.region->host.bytes();
  if (first >= size) return {};
  SUBGEN_CHECK(first + bytes <= size,
               "memory over the end of a mirrored buffer");
  return {place.region.get(), first};
}

void DeviceMirror::WrittenByHost(const void* memory, int64_t bytes) {
  const MirroredRange range = Find(memory, bytes);
  if (range.region == nullptr) return;
  range.region->host_newer.Add(range.bytes(bytes));
  range.region->device_newer.Remove(range.bytes(bytes));
}

void DeviceMirror::ReadByHost(const void* memory, int64_t bytes) {
  const MirroredRange range = Find(memory, bytes);
  if (range.region == nullptr) return;
  MirroredRegion& region = *range.region;
  const auto newer = region.device_newer.Within(range.bytes(bytes));
  // Nothing is newer there, so nothing needs to be waited for.
  if (newer.empty()) return;
  for (const auto& [first, end] : newer) {
    queue_.Copy(region.host.data() + first, region.device.data() + first,
                end - first, cudaMemcpyDeviceToHost);
  }
  queue_.Run();
  region.device_newer.Remove(range.bytes(bytes));
}

void DeviceMirror::Copy(void* to, const void* from, int64_t bytes) {
  if (bytes == 0) return;
  const MirroredRange source = Find(from, bytes), target = Find(to, bytes);
  SUBGEN_CHECK(source.region != nullptr && target.region != nullptr);
  // Both sides are copied, whichever is newer, and what is newer is copied with
  // them: so neither side has to wait for the other.
  std::memcpy(to, from, bytes);
  queue_.Copy(target.device(), source.device(), bytes,
              cudaMemcpyDeviceToDevice);
  const int64_t shift = target.first - source.first;
  const auto take = [&](const ByteRanges& newer, ByteRanges* of_target) {
    of_target->Remove(target.bytes(bytes));
    for (const ByteRange& part : newer.Within(source.bytes(bytes))) {
      of_target->Add({part.first + shift, part.end + shift});
    }
  };
  take(source.region->host_newer, &target.region->host_newer);
  take(source.region->device_newer, &target.region->device_newer);
}

void DeviceMirror::Send(const MirroredRange& range, int64_t bytes) {
  MirroredRegion& region = *range.region;
  if (region.host_newer.empty()) return;
  for (const auto& [first, end] :
       region.host_newer.Within(range.bytes(bytes))) {
    // A copy is staged, because the host may write there again before the
    // device reads.
    const ArenaPlace place = queue_.Stage(end - first);
    std::memcpy(place.host, region.host.data() + first, end - first);
    queue_.Copy(region.device.data() + first, place.device, end - first,
                cudaMemcpyDeviceToDevice);
  }
  region.host_newer.Remove(range.bytes(bytes));
}

}  // namespace subgen::cuda
