#include "kernels/memory/huge_pages.h"

#include <sys/mman.h>

#include <algorithm>

#include "kernels/base/check.h"

namespace subgen {
namespace {

constexpr int64_t kPage = int64_t{2} << 20;
constexpr int64_t kLeastRegion = int64_t{64} << 20;  // of addresses alone

int64_t RoundUp(int64_t bytes, int64_t multiple) {
  return (bytes + multiple - 1) / multiple * multiple;
}

}  // namespace

HugePages::Region HugePages::Map(int64_t bytes) {
  const int64_t size = RoundUp(std::max(bytes, kLeastRegion), kPage) + kPage;
  void* const memory = mmap(nullptr, size, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) OutOfMemory(size);
  // This is advice that a system need not take.
  madvise(memory, size, MADV_HUGEPAGE);
  const auto address = reinterpret_cast<int64_t>(memory);
  return {static_cast<std::byte*>(memory), size,
          RoundUp(address, kPage) - address};
}

HugePages::~HugePages() {
  for (const Region& region : regions_) munmap(region.data, region.bytes);
}

std::byte* HugePages::Take(int64_t bytes) {
  const int64_t size = RoundUp(bytes, 64);
  if (regions_.empty() || regions_.back().used + size > regions_.back().bytes) {
    regions_.push_back(Map(size));
  }
  Region& region = regions_.back();
  std::byte* const taken = region.data + region.used;
  region.used += size;
  return taken;
}

}  // namespace subgen
