// This is memory on both sides (kernels/memory/mirror.h), for operations that
// are put on one queue.
#pragma once

#include <memory>
#include <vector>

#include "kernels/cuda/runtime/byte_ranges.h"
#include "kernels/cuda/runtime/queue.h"
#include "kernels/memory/mirror.h"

namespace subgen::cuda {

// This is a buffer, and which of its bytes are newer on which side.
struct MirroredRegion {
  PinnedMemory host;
  DeviceMemory device;
  ByteRanges host_newer, device_newer;
};

// This is a part of mirrored memory.
struct MirroredRange {
  MirroredRegion* region = nullptr;  // null: not mirrored
  int64_t first = 0;                 // byte of the region

  uint8_t* host() const { return region->host.data() + first; }
  uint8_t* device() const { return region->device.data() + first; }
  ByteRange bytes(int64_t count) const { return {first, first + count}; }
};

class DeviceMirror final : public Mirror {
 public:
  explicit DeviceMirror(Queue* queue) : queue_(*queue) {}

  void* Allocate(int64_t bytes) override;
  void Free(void* memory) override;
  void WrittenByHost(const void* memory, int64_t bytes) override;
  void ReadByHost(const void* memory, int64_t bytes) override;
  void Copy(void* to, const void* from, int64_t bytes) override;

  // These are for operations. Find returns where these bytes lie, if they are
  // mirrored; a range that is mirrored only in part is a bug.
  MirroredRange Find(const void* memory, int64_t bytes) const;
  // Sends the bytes of a range that the host has newer, as they are now.
  void Send(const MirroredRange& range, int64_t bytes);
  // Records that an operation which is appended next writes these bytes.
  void WrittenByDevice(const MirroredRange& range, int64_t bytes) {
    range.region->device_newer.Add(range.bytes(bytes));
    range.region->host_newer.Remove(range.bytes(bytes));
  }

 private:
  struct Place {
    const uint8_t* begin;
    std::unique_ptr<MirroredRegion> region;
  };

  Queue& queue_;
  std::vector<Place> places_;  // ascending
};

}  // namespace subgen::cuda
