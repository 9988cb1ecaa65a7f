// The kernels of one backend share its threads and their memory.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/cpu/threads/thread_pool.h"
#include "kernels/memory/buffer.h"

namespace subgen::cpu {

// This is memory that grows when more is asked for and never shrinks. Its
// contents do not survive.
class Scratch {
 public:
  float* Get(int64_t floats) {
    if (floats > memory_.size()) memory_ = Buffer<float>(floats);
    return memory_.data();
  }

 private:
  Buffer<float> memory_;
};

struct Context {
  explicit Context(int threads) : pool(threads), worker_scratch(threads) {}

  // Runs a loop as ThreadPool::ParallelFor does; but a loop of less than about
  // 10 us (in multiply-adds) stays on the calling thread, as waking another
  // costs about as much.
  void Run(int64_t items, int64_t multiply_adds, ThreadPool::Work work) {
    constexpr int64_t kWorthThreads = 1 << 15;
    if (multiply_adds >= kWorthThreads) return pool.ParallelFor(items, work);
    for (int64_t item = 0; item < items; ++item) work(item, 0);
  }

  ThreadPool pool;
  std::vector<Scratch> worker_scratch;  // [threads]
  Scratch results;  // partial results of a loop, merged after it
};

}  // namespace subgen::cpu
