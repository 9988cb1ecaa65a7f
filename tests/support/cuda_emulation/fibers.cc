// Threads of a block as fibers that give way at barriers.
#include <cuda_runtime.h>

#include <boost/context/fiber.hpp>
#include <boost/context/pooled_fixedsize_stack.hpp>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kernels/base/check.h"

thread_local uint3 threadIdx, blockIdx;
thread_local dim3 blockDim, gridDim;

namespace subgen::emulation {
namespace {

namespace context = boost::context;
constexpr int kWarp = 32;

enum class State { kReady, kAtWarpBarrier, kAtBlockBarrier, kDone };

struct Thread {
  context::fiber fiber;
  State state = State::kDone;
  uint3 index = {};
  int exchanges = 0;
};

class Block {
 public:
  Block(dim3 shape, const std::function<void()>& body)
      : body_(body),
        threads_(shape.x * shape.y * shape.z),
        exchanged_(2 * threads_.size()) {
    for (size_t i = 0; i < threads_.size(); ++i) {
      const unsigned at = static_cast<unsigned>(i);
      threads_[i].index = {at % shape.x, at / shape.x % shape.y,
                           at / shape.x / shape.y};
      threads_[i].fiber = context::fiber(std::allocator_arg, Stacks(),
                                         [this](context::fiber&& scheduler) {
                                           return Body(std::move(scheduler));
                                         });
    }
  }
  ~Block() {
    ended_ = true;
    for (Thread& thread : threads_) Resume(&thread);
  }

  static Block*& Running() {
    static thread_local Block* block = nullptr;
    return block;
  }

  void Run() {
    for (Thread& thread : threads_) thread.state = State::kReady;
    for (;;) {
      for (Thread& thread : threads_) {
        if (thread.state == State::kReady) Resume(&thread);
      }
      if (All(0, threads_.size(), State::kDone)) return;
      if (!Release()) {
        Fatal(absl::StrCat("a barrier that not all threads reach, in block ",
                           blockIdx.x, " ", blockIdx.y, " of ", gridDim.x, " ",
                           gridDim.y, " with ", threads_.size(), " threads"));
      }
    }
  }

  void Yield(State state) {
    threads_[now_].state = state;
    scheduler_ = std::move(scheduler_).resume();
  }

  uint64_t Exchange(uint64_t bits, int source) {
    const size_t warp = now_ / kWarp * kWarp;
    const size_t half = threads_[now_].exchanges++ % 2 * threads_.size();
    exchanged_[half + now_] = bits;
    Yield(State::kAtWarpBarrier);
    SUBGEN_CHECK(source >= 0 && warp + source < threads_.size(), source);
    return exchanged_[half + warp + source];
  }
  int lane() const { return now_ % kWarp; }

 private:
  static context::pooled_fixedsize_stack& Stacks() {
    static thread_local context::pooled_fixedsize_stack stacks(64 << 10);
    return stacks;
  }

  context::fiber Body(context::fiber&& scheduler) {
    scheduler_ = std::move(scheduler);
    while (!ended_) {
      body_();
      Yield(State::kDone);
    }
    return std::move(scheduler_);
  }

  void Resume(Thread* thread) {
    now_ = thread - threads_.data();
    threadIdx = thread->index;
    thread->fiber = std::move(thread->fiber).resume();
  }

  bool All(size_t first, size_t end, State state) const {
    for (size_t i = first; i < end && i < threads_.size(); ++i) {
      if (threads_[i].state != state) return false;
    }
    return true;
  }

  // Lets those go on whose barrier is complete; false where there are none.
  bool Release() {
    bool released = false;
    if (All(0, threads_.size(), State::kAtBlockBarrier)) {
      for (Thread& thread : threads_) thread.state = State::kReady;
      return true;
    }
    for (size_t warp = 0; warp < threads_.size(); warp += kWarp) {
      if (!All(warp, warp + kWarp, State::kAtWarpBarrier)) continue;
      released = true;
      for (size_t i = warp; i < warp + kWarp && i < threads_.size(); ++i) {
        threads_[i].state = State::kReady;
      }
    }
    return released;
  }

  const std::function<void()>& body_;
  std::vector<Thread> threads_;
  std::vector<uint64_t> exchanged_;
  context::fiber scheduler_;
  size_t now_ = 0;
  bool ended_ = false;
};

}  // namespace

void Launch(dim3 grid, dim3 block, const std::function<void()>& thread) {
  const DeviceMemoryOpen open;
  gridDim = grid;
  blockDim = block;
  Block threads(block, thread);
  Block::Running() = &threads;
  for (unsigned z = 0; z < grid.z; ++z) {
    for (unsigned y = 0; y < grid.y; ++y) {
      for (unsigned x = 0; x < grid.x; ++x) {
        blockIdx = {x, y, z};
        threads.Run();
      }
    }
  }
}

void WarpBarrier() { Block::Running()->Yield(State::kAtWarpBarrier); }
uint64_t Exchange(uint64_t bits, int source) {
  return Block::Running()->Exchange(bits, source);
}
int Lane() { return Block::Running()->lane(); }

}  // namespace subgen::emulation

void __syncthreads() {
  subgen::emulation::Block::Running()->Yield(
      subgen::emulation::State::kAtBlockBarrier);
}
