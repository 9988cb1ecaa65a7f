#include "launch/generate/memory_check.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <string>

#include "absl/strings/str_format.h"

namespace subgen {
namespace {

// Returns the first number of a file, and -1 if there is none (the file may
// hold "max").
int64_t NumberIn(const char* path) {
  std::ifstream file(path);
  int64_t number = -1;
  return file >> number ? number : -1;
}

int64_t AvailableBytes() {
  std::ifstream file("/proc/meminfo");
  std::string key;
  int64_t kilobytes = 0;
  std::string unit;
  while (file >> key >> kilobytes) {
    if (key == "MemAvailable:") return kilobytes * 1024;
    std::getline(file, unit);
  }
  return -1;
}

}  // namespace

int64_t FreeMemory() {
  int64_t free = AvailableBytes();
  const int64_t limit = NumberIn("/sys/fs/cgroup/memory.max");
  const int64_t used = NumberIn("/sys/fs/cgroup/memory.current");
  if (limit >= 0 && used >= 0) {
    const int64_t left = std::max<int64_t>(0, limit - used);
    free = free < 0 ? left : std::min(free, left);
  }
  return free;
}

absl::Status CheckMemory(const Engine& engine, int ranks_on_host) {
  if (engine.cache_on_device()) return absl::OkStatus();
  const int64_t free = FreeMemory();
  const double needed =
      static_cast<double>(engine.most_cache_bytes()) * ranks_on_host;
  if (free < 0 || needed <= static_cast<double>(free)) return absl::OkStatus();
  constexpr double kGigabyte = 1e9;
  return absl::ResourceExhaustedError(absl::StrFormat(
      "not enough memory: the caches of %d ranks on this host may take %.2f GB "
      "and %.2f GB are "
      "free: lower the budget (%d rows a KV head), context_tokens, "
      "max_sequences or the bits of cache.row_format, or use more hosts",
      ranks_on_host, needed / kGigabyte, static_cast<double>(free) / kGigabyte,
      engine.budget_rows()));
}

}  // namespace subgen
