#include "comm/rank_grid.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "comm/thread_ranks.h"

namespace subgen {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Returns the sizes of all parts; checks that they lie one behind the other.
std::vector<int64_t> Parts(int64_t total, int parts, int64_t unit = 1) {
  std::vector<int64_t> counts;
  int64_t end = 0;
  for (int part = 0; part < parts; ++part) {
    const Range range = EvenPart(total, parts, part, unit);
    EXPECT_EQ(range.first, end);
    end = range.end();
    counts.push_back(range.count);
  }
  EXPECT_EQ(end, total);
  return counts;
}

TEST(EvenPart, ByHand) {
  EXPECT_THAT(Parts(3, 2), ElementsAre(2, 1));
  EXPECT_THAT(Parts(8, 4), ElementsAre(2, 2, 2, 2));
  EXPECT_THAT(Parts(11, 4), ElementsAre(3, 3, 3, 2));
  EXPECT_THAT(Parts(2, 4), ElementsAre(1, 1, 0, 0));
  EXPECT_THAT(Parts(0, 3), ElementsAre(0, 0, 0));
  EXPECT_THAT(Parts(5, 1), ElementsAre(5));
}

TEST(EvenPart, UnitsAreNotSplit) {
  EXPECT_THAT(Parts(1536, 5, 32), ElementsAre(320, 320, 320, 288, 288));
  EXPECT_THAT(Parts(100, 3, 32), ElementsAre(64, 32, 4));  // 32 32 32 4
  EXPECT_THAT(Parts(100, 2, 256), ElementsAre(100, 0));
  EXPECT_THAT(Parts(65, 4, 32), ElementsAre(32, 32, 1, 0));
}

TEST(EvenPartDeathTest, RefusesPartsThatAreNone) {
  EXPECT_DEATH(EvenPart(1, 2, 2), "part 2 of 2");
  EXPECT_DEATH(EvenPart(1, 2, -1), "part -1 of 2");
  EXPECT_DEATH(EvenPart(-1, 2, 0), "of -1");
}

struct Plan {
  int head_shards, token_shards, world, kv_heads;  // asked for
  int heads, tokens;                               // planned
};

TEST(PlanGrid, ByHand) {
  for (const Plan& plan : std::vector<Plan>{
           {0, 0, 1, 3, 1, 1},
           {0, 0, 2, 3, 2, 1},
           {0, 0, 3, 3, 3, 1},
           {0, 0, 4, 3, 2, 2},
           {0, 0, 5, 3, 1, 5},
           {0, 0, 6, 3, 3, 2},
           {0, 0, 8, 8, 8, 1},
           {0, 0, 16, 8, 8, 2},
           {0, 0, 12, 8, 6, 2},
           {0, 0, 7, 8, 7, 1},
           {0, 0, 4, 1, 1, 4},
           {1, 0, 6, 3, 1, 6},
           {2, 0, 6, 3, 2, 3},
           {3, 0, 6, 3, 3, 2},
           {0, 2, 6, 3, 3, 2},
           {0, 6, 6, 3, 1, 6},
           {2, 3, 6, 3, 2, 3},
           {0, 1, 3, 3, 3, 1},
       }) {
    const absl::StatusOr<GridShape> shape = PlanGrid(
        {plan.head_shards, plan.token_shards, 16}, plan.world, plan.kv_heads);
    ASSERT_TRUE(shape.ok()) << shape.status();
    EXPECT_EQ(shape->head_shards, plan.heads) << plan.world;
    EXPECT_EQ(shape->token_shards, plan.tokens) << plan.world;
    EXPECT_EQ(shape->world(), plan.world);
    EXPECT_EQ(shape->token_block, 16);
  }
}

std::string PlanError(const GridOptions& options, int world, int kv_heads) {
  return std::string(PlanGrid(options, world, kv_heads).status().message());
}

TEST(PlanGrid, ErrorsSayWhatIsLegal) {
  EXPECT_EQ(PlanError({4, 0}, 4, 3),
            "ranks.head_shards = 4: must be at most 3, the KV heads of the "
            "model");
  EXPECT_EQ(PlanError({0, 1}, 4, 3),
            "ranks.head_shards = 4 (from ranks.token_shards = 1): must be at "
            "most 3, the KV heads of the model");
  EXPECT_EQ(PlanError({2, 0}, 3, 3),
            "ranks.head_shards = 2: must divide the 3 ranks");
  EXPECT_EQ(PlanError({0, 2}, 3, 3),
            "ranks.token_shards = 2: must divide the 3 ranks");
  EXPECT_EQ(PlanError({2, 2}, 6, 3),
            "ranks.head_shards = 2, ranks.token_shards = 2: their product must "
            "be the 6 ranks; 2 head shards need 3 token shards");
  EXPECT_THAT(PlanError({-1, 0}, 2, 3), HasSubstr("ranks.head_shards = -1"));
  EXPECT_THAT(PlanError({0, -2}, 2, 3), HasSubstr("ranks.token_shards = -2"));
  EXPECT_THAT(PlanError({0, 0, 0}, 2, 3), HasSubstr("ranks.token_block = 0"));
  EXPECT_THAT(PlanError({0, 1 << 30}, 2, 3), HasSubstr("must divide"));
}

TEST(GridShape, OwnsBlocksInTurn) {
  const GridShape shape{2, 3, 4};
  const std::vector<int> owners{0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 0, 0};
  for (size_t i = 0; i < owners.size(); ++i) {
    EXPECT_EQ(shape.Owner(i), owners[i]) << i;
  }
  EXPECT_EQ(shape.Owner(int64_t{12} << 40), 0);
  EXPECT_EQ(GridShape({4, 1, 16}).Owner(12345), 0);
}

TEST(MakeGrid, GroupsTheTokenShardsOfAHeadGroup) {
  const GridShape shape{3, 2, 1};
  const absl::Status status = RunThreadRanks(6, [&](auto world) {
    const int rank = world->rank();
    const RankGrid grid = MakeGrid(shape, std::move(world));
    EXPECT_EQ(grid.head_shard(), rank / 2);
    EXPECT_EQ(grid.token_shard(), rank % 2);
    EXPECT_EQ(grid.tokens->size(), 2);
    EXPECT_EQ(grid.tokens->rank(), rank % 2);
    EXPECT_EQ(grid.Owns(rank % 2), true);
    EXPECT_EQ(grid.Owns(rank % 2 + 1), false);
    std::vector<float> sum{static_cast<float>(rank)};
    grid.tokens->AllReduce(sum, ReduceOp::kSum);
    EXPECT_EQ(sum[0], 4 * (rank / 2) + 1);  // 2h + (2h + 1)
    return absl::OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status;
}

}  // namespace
}  // namespace subgen
