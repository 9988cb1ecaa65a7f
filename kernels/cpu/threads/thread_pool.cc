#include "kernels/cpu/threads/thread_pool.h"

#include <hwy/cache_control.h>

#include <chrono>

#include "kernels/base/check.h"

namespace subgen::cpu {
namespace {

constexpr uint64_t kItems = 0xffffffff;  // low half of a ticket word

// Waits until the value is no longer `old`. It spins for as long as most gaps
// between two loops last. Then, as another rank may need the core, it offers
// the core each time it looks. Then it sleeps, although being woken takes as
// long as many a loop.
int WaitWhile(const std::atomic<int>& value, int old) {
  using Clock = std::chrono::steady_clock;
  constexpr auto kSpin = std::chrono::microseconds(10);
  constexpr auto kOffer = std::chrono::microseconds(50);
  const Clock::time_point start = Clock::now();
  for (Clock::duration waited(0); waited < kOffer;
       waited = Clock::now() - start) {
    // The clock is read once for several looks at the value.
    for (int i = 0; i < 16; ++i) {
      const int now = value.load(std::memory_order_acquire);
      if (now != old) return now;
      hwy::Pause();
    }
    if (waited > kSpin) std::this_thread::yield();
  }
  value.wait(old, std::memory_order_acquire);
  return value.load(std::memory_order_acquire);
}

}  // namespace

ThreadPool::ThreadPool(int threads) {
  SUBGEN_CHECK(threads >= 1, threads);
  shares_ = std::make_unique<Share[]>(threads);
  for (int worker = 1; worker < threads; ++worker) {
    workers_.emplace_back([this, worker] { WorkerLoop(worker); });
  }
}

ThreadPool::~ThreadPool() {
  stop_.store(true);
  loop_.fetch_add(1);
  loop_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::ParallelFor(int64_t count, Work work) {
  if (workers_.empty() || count <= 1) {
    for (int64_t item = 0; item < count; ++item) work(item, 0);
    return;
  }
  // The count must fit in unfinished_ and in the low half of a ticket.
  SUBGEN_CHECK(count < (int64_t{1} << 31), count);
  work_ = &work;
  count_ = count;
  unfinished_.store(static_cast<int>(count), std::memory_order_relaxed);
  ++loops_;
  // The release of the tickets publishes work_ and count_. A late worker of the
  // loop before may take an item as soon as it sees new tickets, so everything
  // it reads is written before them.
  for (int worker = threads() - 1; worker >= 0; --worker) {
    const uint64_t items = FirstOf(worker + 1) - FirstOf(worker);
    shares_[worker].tickets.store(loops_ << 32 | items,
                                  std::memory_order_release);
  }
  loop_.fetch_add(1, std::memory_order_release);
  loop_.notify_all();
  TakeItems(0);
  int left = unfinished_.load(std::memory_order_acquire);
  while (left != 0) left = WaitWhile(unfinished_, left);
}

void ThreadPool::TakeItems(int worker) {
  const int all = threads();
  // A worker takes its own share first, whose memory its caches may hold, and
  // then what others have left.
  for (int i = 0; i < all; ++i) TakeShare((worker + i) % all, worker);
}

void ThreadPool::TakeShare(int share, int worker) {
  std::atomic<uint64_t>& tickets = shares_[share].tickets;
  uint64_t ticket = tickets.load(std::memory_order_acquire);
  while ((ticket & kItems) != 0) {
    // The whole ticket is compared, the loop's number too: if another loop has
    // begun in between, the exchange fails.
    if (!tickets.compare_exchange_weak(ticket, ticket - 1,
                                       std::memory_order_acq_rel)) {
      continue;
    }
    const int64_t left = static_cast<int64_t>(ticket & kItems);
    (*work_)(FirstOf(share + 1) - left, worker);
    if (unfinished_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      unfinished_.notify_one();
    }
    ticket = tickets.load(std::memory_order_acquire);
  }
}

void ThreadPool::WorkerLoop(int worker) {
  int seen = 0;
  while (true) {
    seen = WaitWhile(loop_, seen);
    if (stop_.load()) return;
    TakeItems(worker);
  }
}

}  // namespace subgen::cpu
