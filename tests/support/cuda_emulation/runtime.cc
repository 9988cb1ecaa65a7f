// This emulates memory and devices.
#include <cuda_runtime_api.h>
#include <sys/mman.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

namespace subgen::emulation {
namespace {

std::atomic<int> devices{1};
std::atomic<int64_t> allocations{0};
std::atomic<int64_t> bytes_to_host{0};
thread_local int current = 0;

// This is all device memory of the process: a range of addresses that is only
// mapped in while something of the device runs.
class Arena {
 public:
  static Arena& Get() {
    static Arena arena;
    return arena;
  }

  void* Allocate(size_t bytes) {
    bytes = (bytes + 255) / 256 * 256 + 256;  // and a gap
    const std::lock_guard lock(mutex_);
    for (auto hole = holes_.begin(); hole != holes_.end(); ++hole) {
      if (hole->second < bytes) continue;
      return Take(hole->first, bytes);
    }
    return nullptr;
  }

  bool Free(void* memory) {
    const std::lock_guard lock(mutex_);
    const auto used = used_.find(static_cast<char*>(memory));
    if (used == used_.end()) return false;
    GiveBack(used->first, used->second);
    auto hole = holes_.emplace(used->first, used->second).first;
    used_.erase(used);
    const auto next = std::next(hole);
    if (next != holes_.end() && hole->first + hole->second == next->first) {
      hole->second += next->second;
      holes_.erase(next);
    }
    if (hole == holes_.begin()) return true;
    const auto previous = std::prev(hole);
    if (previous->first + previous->second == hole->first) {
      previous->second += hole->second;
      holes_.erase(hole);
    }
    return true;
  }

  bool Holds(const void* memory) const {
    return memory >= base_ && memory < base_ + kBytes;
  }

  void Open(int change) {
    const std::lock_guard lock(mutex_);
    const int before = open_;
    open_ += change;
    if ((before == 0) == (open_ == 0)) return;
    mprotect(base_, kBytes, open_ > 0 ? PROT_READ | PROT_WRITE : PROT_NONE);
  }

 private:
  static constexpr size_t kBytes = size_t{16} << 30;
  static constexpr uintptr_t kPage = 4096;

  // Gives back whole pages, which would slow down every opening.
  static void GiveBack(char* at, size_t bytes) {
    char* const first = at + (kPage - reinterpret_cast<uintptr_t>(at)) % kPage;
    char* const end = at + bytes;
    if (end - first < static_cast<ptrdiff_t>(kPage)) return;
    madvise(first, (end - first) / kPage * kPage, MADV_DONTNEED);
  }

  Arena()
      : base_(static_cast<char*>(
            mmap(nullptr, kBytes, PROT_NONE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0))) {
    if (base_ == MAP_FAILED) std::abort();
    holes_.emplace(base_, kBytes);
  }

  void* Take(char* at, size_t bytes) {
    const size_t size = holes_[at];
    holes_.erase(at);
    if (size > bytes) holes_.emplace(at + bytes, size - bytes);
    used_.emplace(at, bytes);
    return at;
  }

  char* const base_;
  std::mutex mutex_;
  std::map<char*, size_t> holes_, used_;
  int open_ = 0;
};

// Tells whether a copy of this kind goes where it says.
bool Fits(const void* to, const void* from, cudaMemcpyKind kind) {
  const bool to_device =
      kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  const bool from_device =
      kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  return kind == cudaMemcpyDefault || (IsDeviceMemory(to) == to_device &&
                                       IsDeviceMemory(from) == from_device);
}

}  // namespace

void SetEmulatedDevices(int count) { devices = count; }
int64_t AllocationsSoFar() { return allocations; }
int64_t BytesToHostSoFar() { return bytes_to_host; }
bool IsDeviceMemory(const void* memory) { return Arena::Get().Holds(memory); }
DeviceMemoryOpen::DeviceMemoryOpen() { Arena::Get().Open(1); }
DeviceMemoryOpen::~DeviceMemoryOpen() { Arena::Get().Open(-1); }

}  // namespace subgen::emulation

using subgen::emulation::allocations;
using subgen::emulation::Arena;
using subgen::emulation::current;
using subgen::emulation::DeviceMemoryOpen;
using subgen::emulation::devices;

const char* cudaGetErrorName(cudaError_t error) {
  return error == cudaSuccess ? "cudaSuccess" : "cudaError";
}
const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "no error";
    case cudaErrorNoDevice:
      return "no CUDA-capable device is detected";
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorStreamCaptureUnsupported:
      return "operation not permitted when stream is capturing";
    case cudaErrorStreamCaptureInvalidated:
      return "operation failed due to a previous error during capture";
    default:
      return "invalid argument";
  }
}
cudaError_t cudaGetLastError() { return cudaSuccess; }
cudaError_t cudaPeekAtLastError() { return cudaSuccess; }
cudaError_t cudaDriverGetVersion(int* version) {
  *version = 13000;
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = 13000;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceCount(int* count) {
  *count = devices;
  return *count > 0 ? cudaSuccess : cudaErrorNoDevice;
}
cudaError_t cudaSetDevice(int device) {
  if (device < 0 || device >= devices) return cudaErrorInvalidDevice;
  current = device;
  return cudaSuccess;
}
cudaError_t cudaGetDevice(int* device) {
  *device = current;
  return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  *value = attribute == cudaDevAttrComputeCapabilityMajor   ? 9
           : attribute == cudaDevAttrComputeCapabilityMinor ? 0
                                                            : 4;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  if (device < 0 || device >= devices) return cudaErrorInvalidDevice;
  *properties = {};
  std::snprintf(properties->name, sizeof(properties->name),
                "emulated device %d", device);
  properties->uuid.bytes[0] = static_cast<char>(device + 1);
  properties->major = 9;
  properties->multiProcessorCount = 4;
  properties->totalGlobalMem = size_t{16} << 30;
  return cudaSuccess;
}
cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  *free = *total = size_t{16} << 30;
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** memory, size_t bytes) {
  ++allocations;
  *memory = Arena::Get().Allocate(bytes);
  return *memory == nullptr ? cudaErrorMemoryAllocation : cudaSuccess;
}
cudaError_t cudaFree(void* memory) {
  if (memory == nullptr || Arena::Get().Free(memory)) return cudaSuccess;
  return cudaErrorInvalidValue;
}
cudaError_t cudaMallocHost(void** memory, size_t bytes) {
  ++allocations;
  *memory = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  return *memory == nullptr ? cudaErrorMemoryAllocation : cudaSuccess;
}
cudaError_t cudaFreeHost(void* memory) {
  std::free(memory);
  return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes,
                            cudaMemcpyKind kind, cudaStream_t stream) {
  return cudaMemcpy2DAsync(to, bytes, from, bytes, bytes, 1, kind, stream);
}
cudaError_t cudaMemcpy2DAsync(void* to, size_t to_pitch, const void* from,
                              size_t from_pitch, size_t width, size_t height,
                              cudaMemcpyKind kind, cudaStream_t stream) {
  using subgen::emulation::Work;
  if (!subgen::emulation::Fits(to, from, kind)) return cudaErrorInvalidValue;
  const auto copy = [=] {
    const DeviceMemoryOpen open;
    if (kind == cudaMemcpyDeviceToHost) {
      subgen::emulation::bytes_to_host += width * height;
    }
    for (size_t i = 0; i < height; ++i) {
      std::memmove(static_cast<char*>(to) + i * to_pitch,
                   static_cast<const char*>(from) + i * from_pitch, width);
    }
  };
  subgen::emulation::Enqueue(
      stream,
      kind == cudaMemcpyHostToDevice ? Work::kCopyToDevice : Work::kCopy, copy);
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* memory, int value, size_t bytes,
                            cudaStream_t stream) {
  if (!subgen::emulation::IsDeviceMemory(memory)) return cudaErrorInvalidValue;
  subgen::emulation::Enqueue(stream, subgen::emulation::Work::kCopy, [=] {
    const DeviceMemoryOpen open;
    std::memset(memory, value, bytes);
  });
  return cudaSuccess;
}
