#include "launch/bench/machine.h"

#include <unistd.h>

#include <algorithm>
#include <barrier>
#include <chrono>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "kernels/memory/buffer.h"

namespace subgen {
namespace {

constexpr int kPasses = 8;

// There are several sums, so that additions do not wait for one another.
uint64_t Sum(Vector<const uint64_t> words) {
  constexpr size_t kSums = 32;
  uint64_t sums[kSums] = {};
  for (size_t i = 0; i + kSums <= words.size(); i += kSums) {
    for (size_t j = 0; j < kSums; ++j) sums[j] += words[i + j];
  }
  uint64_t sum = 0;
  for (const uint64_t each : sums) sum += each;
  return sum;
}

// Times the passes of one rank, in seconds.
std::vector<double> TimePasses(Communicator& world, int threads,
                               int64_t words) {
  using Clock = std::chrono::steady_clock;
  std::vector<uint64_t> sums(threads);  // so that reading is not left out
  std::barrier gate(threads + 1);
  std::vector<std::thread> readers;
  for (int i = 0; i < threads; ++i) {
    readers.emplace_back([&, i] {
      Buffer<uint64_t> mine(words);  // touched first by its reader
      for (int pass = 0; pass < kPasses; ++pass) {
        gate.arrive_and_wait();
        sums[i] += Sum(mine.span());
        gate.arrive_and_wait();
      }
    });
  }
  std::vector<double> seconds;
  std::vector<float> ready(1);
  for (int pass = 0; pass < kPasses; ++pass) {
    world.AllReduce(ready, ReduceOp::kSum);
    gate.arrive_and_wait();
    const auto start = Clock::now();
    gate.arrive_and_wait();
    seconds.push_back(
        std::chrono::duration<double>(Clock::now() - start).count());
  }
  for (std::thread& reader : readers) reader.join();
  for (const uint64_t sum : sums) SUBGEN_CHECK(sum == 0);
  return seconds;
}

int64_t StatusBytes(const std::string& status, const std::string& key) {
  const size_t at = status.find(key);
  if (at == std::string::npos) return 0;
  int64_t kibibytes = 0;
  std::istringstream(status.substr(at + key.size())) >> kibibytes;
  return kibibytes * 1024;
}

}  // namespace

double ReadBandwidth(Communicator& world, int threads, int64_t bytes) {
  const int64_t words = std::max<int64_t>(1, bytes / threads / 8);
  const std::vector<double> seconds = TimePasses(world, threads, words);
  // All ranks are in the same pass, and the best pass counts: other programs
  // only take away from what the memory can do.
  double best = 0.0;
  for (const double each : seconds) {
    std::vector<float> rate = {
        static_cast<float>(words * 8.0 * threads / each)};
    world.AllReduce(rate, ReduceOp::kSum);
    best = std::max<double>(best, rate[0]);
  }
  return best;
}

int64_t BandwidthBytes(int ranks_on_host) {
  // Some virtual machines say the cache of the whole host.
  constexpr int64_t kLeast = int64_t{256} << 20, kMost = int64_t{512} << 20;
  const int64_t cache = sysconf(_SC_LEVEL3_CACHE_SIZE);
  return std::clamp(4 * cache, kLeast, kMost) / ranks_on_host;
}

ResidentMemory MeasureResidentMemory() {
  std::ifstream file("/proc/self/status");
  std::stringstream status;
  status << file.rdbuf();
  return {StatusBytes(status.str(), "VmRSS:"),
          StatusBytes(status.str(), "VmHWM:")};
}

// "5" is the highest resident size (proc(5), clear_refs).
void ForgetHighestMemory() { std::ofstream("/proc/self/clear_refs") << "5"; }

}  // namespace subgen
