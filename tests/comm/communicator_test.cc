#include "comm/communicator.h"

#include <gtest/gtest.h>

#include <vector>

#include "comm/thread_ranks.h"
#include "tests/comm/collective_checks.h"

namespace subgen {
namespace {

TEST(SingleRank, IsAGroupOfOneThatCostsNothing) {
  const std::unique_ptr<Communicator> ranks = MakeSingleRank();
  EXPECT_EQ(ranks->rank(), 0);
  EXPECT_EQ(ranks->size(), 1);
  EXPECT_TRUE(CheckCollectives(*ranks).ok());
  EXPECT_TRUE(CheckSplits(*ranks).ok());
  EXPECT_EQ(ranks->stats().calls, 0);
  EXPECT_EQ(ranks->stats().bytes, 0);
}

TEST(Communicator, CountsCallsAndBytesHandedIn) {
  const absl::Status status = RunThreadRanks(2, [](auto ranks) {
    std::vector<float> data(10), all(7), mine(3 + ranks->rank());
    std::vector<std::byte> bytes(5);
    ranks->AllReduce(data, ReduceOp::kSum);
    ranks->AllReduce({}, ReduceOp::kSum);
    ranks->AllGather(mine, std::vector<int>{3, 4}, all);
    ranks->Broadcast(bytes, 1);
    EXPECT_EQ(ranks->stats().calls, 3);
    EXPECT_EQ(ranks->stats().bytes,
              40 + 4 * (3 + ranks->rank()) + (ranks->rank() == 1 ? 5 : 0));
    EXPECT_GT(ranks->stats().seconds, 0.0);
    return absl::OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status;
}

TEST(Communicator, AStepDescriptorCostsOneBroadcast) {
  const absl::Status status = RunThreadRanks(2, [](auto ranks) {
    BroadcastString(*ranks, std::string(248, 'x'), 0);
    EXPECT_EQ(ranks->stats().calls, 1);
    BroadcastString(*ranks, std::string(249, 'x'), 0);
    EXPECT_EQ(ranks->stats().calls, 3);
    return absl::OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status;
}

TEST(CommunicatorDeathTest, RefusesShapesThatCannotBe) {
  const std::unique_ptr<Communicator> ranks = MakeSingleRank();
  std::vector<float> two(2), three(3);
  std::vector<std::byte> bytes(1);
  const std::vector<int> count{2};
  EXPECT_DEATH(ranks->AllGather(two, count, three), "3 places for 2 numbers");
  EXPECT_DEATH(ranks->AllGather(three, count, two), "3 numbers");
  EXPECT_DEATH(ranks->AllGather(two, {}, two), "0 counts for 1 ranks");
  EXPECT_DEATH(ranks->AllGather(two, count, two), "Overlap");
  EXPECT_DEATH(ranks->Broadcast(bytes, 1), "root 1 of 1");
  EXPECT_DEATH(ranks->Split(-1), "color -1");
}

}  // namespace
}  // namespace subgen
