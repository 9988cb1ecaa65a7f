#include "kernels/cpu/threads/thread_pool.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <numeric>
#include <thread>
#include <vector>

namespace subgen::cpu {
namespace {

class ThreadPoolTest : public testing::TestWithParam<int> {};

TEST_P(ThreadPoolTest, EveryItemOnceByALegalWorker) {
  ThreadPool pool(GetParam());
  EXPECT_EQ(pool.threads(), GetParam());
  for (const int64_t count : {0, 1, 2, 3, 7, 1000}) {
    std::vector<std::atomic<int>> calls(count);
    std::atomic<bool> legal{true};
    pool.ParallelFor(count, [&](int64_t item, int worker) {
      ++calls[item];
      if (worker < 0 || worker >= GetParam()) legal = false;
    });
    for (const auto& times : calls) EXPECT_EQ(times.load(), 1);
    EXPECT_TRUE(legal);
  }
}

// The memory is plain, so that a data race shows under a thread sanitizer.
TEST_P(ThreadPoolTest, LoopsFollowOneAnother) {
  ThreadPool pool(GetParam());
  std::vector<int64_t> numbers(64);
  for (int loop = 0; loop < 3000; ++loop) {
    pool.ParallelFor(1 + loop % 64,
                     [&](int64_t item, int) { numbers[item] += item; });
  }
  int64_t expected = 0;
  for (int loop = 0; loop < 3000; ++loop) {
    expected += (loop % 64) * (loop % 64 + 1) / 2;
  }
  EXPECT_EQ(std::accumulate(numbers.begin(), numbers.end(), int64_t{0}),
            expected);
}

TEST_P(ThreadPoolTest, WorkersWakeAfterSleeping) {
  ThreadPool pool(GetParam());
  for (int loop = 0; loop < 5; ++loop) {
    std::this_thread::sleep_for(std::chrono::milliseconds(3));
    std::atomic<int> items{0};
    pool.ParallelFor(10, [&](int64_t, int) { ++items; });
    EXPECT_EQ(items, 10);
  }
}

// In the first loop of a pool nobody still looks at the one before.
TEST_P(ThreadPoolTest, AWorkerTakesItsShareInOrderBeforeWhatOthersLeft) {
  constexpr int64_t kItems = 6;  // of a share
  ThreadPool pool(GetParam());
  std::vector<std::vector<int64_t>> taken(GetParam());
  pool.ParallelFor(kItems * GetParam(), [&](int64_t item, int worker) {
    taken[worker].push_back(item);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  });
  for (int worker = 0; worker < GetParam(); ++worker) {
    const auto own = [&](int64_t item) { return item / kItems == worker; };
    const std::vector<int64_t>& items = taken[worker];
    EXPECT_TRUE(std::is_partitioned(items.begin(), items.end(), own));
    EXPECT_TRUE(std::is_sorted(
        items.begin(), std::find_if_not(items.begin(), items.end(), own)));
  }
}

TEST_P(ThreadPoolTest, AWorkerDoesOneItemAtATime) {
  ThreadPool pool(GetParam());
  std::vector<int> busy(GetParam());
  std::atomic<bool> alone{true};
  pool.ParallelFor(200, [&](int64_t, int worker) {
    if (busy[worker]++ != 0) alone = false;
    std::this_thread::yield();
    --busy[worker];
  });
  EXPECT_TRUE(alone);
}

TEST(ThreadPoolOrder, OneThreadKeepsTheOrder) {
  ThreadPool pool(1);
  std::vector<int64_t> order;
  pool.ParallelFor(4, [&](int64_t item, int) { order.push_back(item); });
  EXPECT_THAT(order, testing::ElementsAre(0, 1, 2, 3));
}

TEST(ThreadPoolDeathTest, RefusesNoThreads) {
  EXPECT_DEATH(ThreadPool(0), "check failed");
}

INSTANTIATE_TEST_SUITE_P(Threads, ThreadPoolTest, testing::Values(1, 2, 3, 8),
                         testing::PrintToStringParamName());

}  // namespace
}  // namespace subgen::cpu
