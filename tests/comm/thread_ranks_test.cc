#include "comm/thread_ranks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/comm/collective_checks.h"

namespace subgen {
namespace {

using ::testing::HasSubstr;

class ThreadRanks : public ::testing::TestWithParam<int> {};

TEST_P(ThreadRanks, Collectives) {
  std::atomic<int> ran = 0;
  const absl::Status status = RunThreadRanks(GetParam(), [&](auto ranks) {
    EXPECT_EQ(ranks->size(), GetParam());
    ++ran;
    return CheckCollectives(*ranks);
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(ran, GetParam());
}

TEST_P(ThreadRanks, Splits) {
  const absl::Status status = RunThreadRanks(
      GetParam(), [](auto ranks) { return CheckSplits(*ranks); });
  EXPECT_TRUE(status.ok()) << status;
}

TEST_P(ThreadRanks, SumsInRankOrder) {
  // Rounding makes the order visible: 2^24 + 1 stays 2^24 in float, so in rank
  // order every 1 is lost and the last rank leaves 0.
  const int n = GetParam();
  const absl::Status status = RunThreadRanks(n, [n](auto ranks) {
    constexpr float kBig = 1 << 24;
    const bool last = ranks->rank() == n - 1;
    std::vector<float> data{ranks->rank() == 0 ? kBig : last ? -kBig : 1.0f};
    ranks->AllReduce(data, ReduceOp::kSum);
    EXPECT_EQ(data[0], n == 1 ? kBig : 0.0f);
    return absl::OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status;
}

INSTANTIATE_TEST_SUITE_P(Counts, ThreadRanks, ::testing::Range(1, 9),
                         testing::PrintToStringParamName());

// Waits in `ranks` for ever, were the group not broken.
absl::Status Wait(Communicator& ranks) {
  std::vector<float> data(1);
  for (;;) ranks.AllReduce(data, ReduceOp::kSum);
}

TEST(ThreadRanksFailure, AnErrorReleasesThoseWhoWait) {
  const absl::Status status = RunThreadRanks(4, [](auto ranks) {
    if (ranks->rank() == 2) return absl::DataLossError("rank 2 cannot read");
    return Wait(*ranks);
  });
  EXPECT_EQ(status, absl::DataLossError("rank 2 cannot read"));
}

TEST(ThreadRanksFailure, AnErrorReleasesThoseInASplit) {
  const absl::Status status = RunThreadRanks(4, [](auto ranks) {
    const auto pair = ranks->Split(ranks->rank() / 2);
    const auto stays = ranks->Split(ranks->rank() == 2);
    std::vector<float> data(1);
    pair->AllReduce(data, ReduceOp::kSum);
    if (ranks->rank() == 2) return absl::DataLossError("rank 2 cannot read");
    if (ranks->rank() == 3) return Wait(*pair);
    return Wait(*ranks);
  });
  EXPECT_EQ(status, absl::DataLossError("rank 2 cannot read"));
}

TEST(ThreadRanksFailure, GroupsWithoutTheFailedRankGoOn) {
  const absl::Status status = RunThreadRanks(3, [](auto ranks) {
    const auto part = ranks->Split(ranks->rank() == 2);
    if (ranks->rank() == 2) return absl::AbortedError("gone");
    return CheckCollectives(*part);
  });
  EXPECT_EQ(status, absl::AbortedError("gone"));
}

TEST(ThreadRanksFailure, LeavingEarlyIsReported) {
  const absl::Status status = RunThreadRanks(2, [](auto ranks) {
    return ranks->rank() == 0 ? absl::OkStatus() : Wait(*ranks);
  });
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("rank 1 waits in a collective for rank 0"));
}

TEST(ThreadRanksFailure, LeavingAfterTheLastCallIsNot) {
  for (int run = 0; run < 200; ++run) {
    const absl::Status status = RunThreadRanks(3, [](auto ranks) {
      std::vector<float> data(1);
      ranks->AllReduce(data, ReduceOp::kSum);
      return absl::OkStatus();
    });
    ASSERT_TRUE(status.ok()) << status;
  }
}

TEST(ThreadRanksFailure, AnExceptionIsAnError) {
  const absl::Status status = RunThreadRanks(3, [](auto ranks) {
    if (ranks->rank() == 1) throw std::runtime_error("of a library");
    return Wait(*ranks);
  });
  EXPECT_EQ(status, absl::InternalError("rank 1: of a library"));
}

TEST(ThreadRanksDeathTest, DifferentCallsAreFatal) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  const auto run = [](auto call) {
    RunThreadRanks(2, [&](auto ranks) {
      call(*ranks, ranks->rank());
      return absl::OkStatus();
    }).IgnoreError();
  };
  EXPECT_DEATH(run([](Communicator& ranks, int rank) {
                 std::vector<float> data(2 + rank);
                 ranks.AllReduce(data, ReduceOp::kSum);
               }),
               "ranks 0 and 1 make different calls: .*sizes 2 and 3");
  EXPECT_DEATH(run([](Communicator& ranks, int rank) {
                 std::vector<float> data(1);
                 ranks.AllReduce(data, rank ? ReduceOp::kSum : ReduceOp::kMax);
               }),
               "different calls");
  EXPECT_DEATH(run([](Communicator& ranks, int rank) {
                 std::vector<float> data(1);
                 if (rank == 0) ranks.AllReduce(data, ReduceOp::kSum);
                 if (rank == 1) ranks.Split(0);
               }),
               "different calls");
}

}  // namespace
}  // namespace subgen
