// Memory on both sides (kernels/memory/mirror.h), for operations that are put
// on one stream.
#pragma once

#include <map>

#include "kernels/cuda/byte_ranges.h"
#include "kernels/cuda/device_memory.h"
#include "kernels/memory/mirror.h"

namespace subgen::cuda {

// A part of mirrored memory.
struct MirroredRange {
  uint8_t* host = nullptr;    // null: not mirrored
  uint8_t* device = nullptr;  // of the same byte
};

class DeviceMirror final : public Mirror {
 public:
  DeviceMirror(int device, cudaStream_t stream)
      : device_(device), stream_(stream) {}

  void* Allocate(int64_t bytes) override;
  void Free(void* memory) override;
  void WrittenByHost(const void* memory, int64_t bytes) override;
  void ReadByHost(const void* memory, int64_t bytes) override;

  // For operations. Where these bytes lie on the device, if they are mirrored;
  // a range that is in part is a bug.
  MirroredRange Find(const void* memory, int64_t bytes);
  // What the host has newer of a mirrored range; the caller sends it.
  std::vector<MirroredRange> TakeNewer(const MirroredRange& range,
                                       int64_t bytes,
                                       std::vector<int64_t>* sizes);
  // An operation that was put on the stream, or will be next, writes these.
  void WrittenByDevice(const MirroredRange& range, int64_t bytes);

  // How often the stream was waited for.
  int64_t waits() const { return waits_; }
  void CountWait() { ++waits_; }

 private:
  struct Region {
    PinnedMemory host;
    DeviceMemory device;
    ByteRanges host_newer, device_newer;

    ByteRange Range(const void* memory, int64_t bytes) const {
      const int64_t first = static_cast<const uint8_t*>(memory) - host.data();
      return {first, first + bytes};
    }
  };
  Region* Holding(const void* memory, int64_t bytes);

  const int device_;
  const cudaStream_t stream_;
  std::map<const uint8_t*, Region> regions_;
  int64_t waits_ = 0;
};

}  // namespace subgen::cuda
