#include "engine/model/shard_plan.h"

#include <gtest/gtest.h>

#include "engine/model/weights.h"
#include "tests/support/toy_model.h"

namespace subgen {
namespace {

ModelFile Load(const ToyModel& toy) {
  return *ReadGgufModel(WriteToyModel(toy, "shard_plan"), {});
}

TEST(ShardPlanTest, ThreeKvHeadsOnTwoRanks) {
  const ModelFile model = Load({});
  const GridShape grid = *PlanGrid({}, 2, 3);
  const ShardPlan first = PlanShard(model, grid, 0);
  const ShardPlan second = PlanShard(model, grid, 1);
  EXPECT_EQ(first.kv_heads.count, 2);
  EXPECT_EQ(first.query_heads.count, 4);
  EXPECT_EQ(second.kv_heads.first, 2);
  EXPECT_EQ(second.kv_heads.count, 1);
  // Query features are 16 per head: 64 and 32, whole blocks of 32.
  EXPECT_EQ(first.output_columns.count, 64);
  EXPECT_EQ(second.output_columns.first, 64);
  // 160 hidden features are five blocks: three and two.
  EXPECT_EQ(first.feed_forward.count, 96);
  EXPECT_EQ(second.feed_forward.first, 96);
  EXPECT_EQ(second.feed_forward.count, 64);
  EXPECT_EQ(first.vocabulary.count + second.vocabulary.count, 259);
}

TEST(ShardPlanTest, BlocksThatStraddleRanksAreReadByBoth) {
  ToyModel toy;
  toy.kv_heads = 4;
  toy.query_heads = 12;  // 48 features per KV head
  const ModelFile model = Load(toy);
  const GridShape grid = *PlanGrid({}, 4, 4);
  const ShardPlan second = PlanShard(model, grid, 1);
  EXPECT_EQ(second.attention_features.first, 48);
  EXPECT_EQ(second.attention_features.count, 48);
  EXPECT_EQ(second.output_columns.first, 32);
  EXPECT_EQ(second.output_columns.count, 64);
}

TEST(ShardPlanTest, EveryFeatureBelongsToOneRank) {
  for (const int ranks : {1, 2, 3, 4, 5, 6, 7, 8}) {
    const ModelFile model = Load({});
    const GridShape grid = *PlanGrid({}, ranks, 3);
    std::vector<int> features(96), hidden(160), vocabulary(259);
    for (int rank = 0; rank < ranks; ++rank) {
      const ShardPlan plan = PlanShard(model, grid, rank);
      const auto count = [](Range range, std::vector<int>& times) {
        for (int64_t i = range.first; i < range.end(); ++i) times[i] += 1;
      };
      count(plan.attention_features, features);
      count(plan.feed_forward, hidden);
      count(plan.vocabulary, vocabulary);
    }
    EXPECT_EQ(features, std::vector<int>(96, 1)) << ranks;
    EXPECT_EQ(hidden, std::vector<int>(160, 1)) << ranks;
    EXPECT_EQ(vocabulary, std::vector<int>(259, 1)) << ranks;
  }
}

TEST(WeightsTest, ShardsAddUpToTheWholeModel) {
  const ModelFile model = Load({});
  const GridShape one = *PlanGrid({}, 1, 3), three = *PlanGrid({}, 3, 3);
  const int64_t whole = LoadWeights(model, PlanShard(model, one, 0)).bytes;
  int64_t sum = 0;
  for (int rank = 0; rank < 3; ++rank) {
    sum += LoadWeights(model, PlanShard(model, three, rank)).bytes;
  }
  EXPECT_EQ(sum, whole);
}

}  // namespace
}  // namespace subgen
