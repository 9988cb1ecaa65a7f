// The threads of a pool persist; they serve short parallel loops.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "absl/functional/function_ref.h"

namespace subgen::cpu {

// The calling thread works too, so threads = 1 starts none. There may be one
// caller at a time, and no nesting.
class ThreadPool {
 public:
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  // Calls work(item, worker) once for each item of [0, count), in any order,
  // and returns when all are done. 0 <= worker < threads(); one worker does one
  // item at a time. In loops of the same number of items, each worker first
  // takes the same ones, whose memory its caches may hold, and then what others
  // have left. A worker that wakes late is not waited for.
  using Work = absl::FunctionRef<void(int64_t item, int worker)>;
  void ParallelFor(int64_t count, Work work);

 private:
  void WorkerLoop(int worker);
  void TakeItems(int worker);
  void TakeShare(int share, int worker);
  // Returns where the share of a worker begins; for threads() it is the end.
  int64_t FirstOf(int worker) const { return count_ * worker / threads(); }

  // Each of these is on a cache line of its own: whoever waits for one must not
  // slow down who writes another.
  static constexpr size_t kCacheLine = 64;  // bytes

  // This is what is left of a worker's share of the loop that is running. The
  // loop's number is in the upper half and the items not yet taken in the lower
  // half of one word, so that a late worker cannot take an item of one loop for
  // an item of the next.
  struct alignas(kCacheLine) Share {
    std::atomic<uint64_t> tickets{0};
  };
  std::unique_ptr<Share[]> shares_;  // [threads]
  uint64_t loops_ = 0;               // that were begun
  // These belong to the last loop; only a worker that holds one of its items
  // reads them.
  const Work* work_ = nullptr;
  int64_t count_ = 0;
  alignas(kCacheLine) std::atomic<int> unfinished_{0};  // items
  alignas(kCacheLine) std::atomic<int> loop_{0};        // workers sleep on it
  std::atomic<bool> stop_{false};
  std::vector<std::thread> workers_;
};

}  // namespace subgen::cpu
