// Threads of a block are fibers that give way at barriers.
#include <cuda_runtime.h>

#include <boost/context/fiber.hpp>
#include <boost/context/pooled_fixedsize_stack.hpp>
#include <deque>
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

// This is a copy as a thread asked for it, not done before it waits.
struct Copy {
  void* to;
  const void* from;
  size_t bytes;
  size_t zeros;  // the last of them, not copied
};

struct Thread {
  context::fiber fiber;
  State state = State::kDone;
  uint3 index = {};
  int exchanges = 0;
  std::deque<std::vector<Copy>> copies = {};  // by group, the last one open
};

class Block {
 public:
  Block(dim3 shape, const std::function<void()>& body)
      : body_(body),
        threads_(shape.x * shape.y * shape.z),
        exchanged_(2 * (threads_.size() + kWarp)) {
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
    for (Thread& thread : threads_) {
      thread.state = State::kReady;
      thread.copies.assign(1, {});
    }
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

  const LaneBytes* Exchange(const LaneBytes& bytes) {
    const size_t warp = now_ / kWarp * kWarp;
    const size_t half = threads_[now_].exchanges++ % 2 * exchanged_.size() / 2;
    exchanged_[half + now_] = bytes;
    Yield(State::kAtWarpBarrier);
    return &exchanged_[half + warp];
  }
  int lane() const { return now_ % kWarp; }

  std::deque<std::vector<Copy>>& copies() { return threads_[now_].copies; }

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
  std::vector<LaneBytes> exchanged_;
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
const LaneBytes* Exchange(const LaneBytes& bytes) {
  return Block::Running()->Exchange(bytes);
}
int Lane() { return Block::Running()->lane(); }

void CopyLater(void* to, const void* from, size_t bytes, size_t zeros) {
  SUBGEN_CHECK((bytes == 4 || bytes == 8 || bytes == 16) && zeros <= bytes);
  SUBGEN_CHECK(reinterpret_cast<uintptr_t>(to) % bytes == 0 &&
               reinterpret_cast<uintptr_t>(from) % bytes == 0);
  std::memset(to, 0xff, bytes);  // NaN, for who reads it too early
  Block::Running()->copies().back().push_back({to, from, bytes, zeros});
}
void CommitCopies() { Block::Running()->copies().emplace_back(); }
void WaitForCopies(size_t but_last) {
  auto& groups = Block::Running()->copies();
  for (; groups.size() > but_last + 1; groups.pop_front()) {
    for (const Copy& copy : groups.front()) {
      const size_t copied = copy.bytes - copy.zeros;
      std::memcpy(copy.to, copy.from, copied);
      std::memset(static_cast<char*>(copy.to) + copied, 0, copy.zeros);
    }
  }
}

}  // namespace subgen::emulation

void __syncthreads() {
  subgen::emulation::Block::Running()->Yield(
      subgen::emulation::State::kAtBlockBarrier);
}
