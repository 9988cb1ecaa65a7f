// Persistent threads for short parallel loops.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "absl/functional/function_ref.h"

namespace subgen::cpu {

// The calling thread works too: threads = 1 starts none. One caller at a time,
// no nesting.
class ThreadPool {
 public:
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  // Calls work(item, worker) once for each item of [0, count), in any order,
  // and returns when all are done. 0 <= worker < threads(); one worker does one
  // item at a time. Of loops of as many items each worker first takes the same
  // ones, whose memory its caches may hold, then what others have left: a
  // worker that wakes late is not waited for.
  using Work = absl::FunctionRef<void(int64_t item, int worker)>;
  void ParallelFor(int64_t count, Work work);

 private:
  void WorkerLoop(int worker);
  void TakeItems(int worker);
  void TakeShare(int share, int worker);
  // Where the share of a worker begins; of threads(): the end.
  int64_t FirstOf(int worker) const { return count_ * worker / threads(); }

  // Each on a cache line of its own: who waits for one must not slow down who
  // writes another.
  static constexpr size_t kCacheLine = 64;  // bytes

  // What is left of a worker's share of the loop now running: the loop's number
  // above, items not yet taken below, in one word, so that a late worker cannot
  // take an item of one loop for an item of the next.
  struct alignas(kCacheLine) Share {
    std::atomic<uint64_t> tickets{0};
  };
  std::unique_ptr<Share[]> shares_;  // [threads]
  uint64_t loops_ = 0;               // that were begun
  // Of the last one; read only by who holds one of its items.
  const Work* work_ = nullptr;
  int64_t count_ = 0;
  alignas(kCacheLine) std::atomic<int> unfinished_{0};  // items
  alignas(kCacheLine) std::atomic<int> loop_{0};        // workers sleep on it
  std::atomic<bool> stop_{false};
  std::vector<std::thread> workers_;
};

}  // namespace subgen::cpu
