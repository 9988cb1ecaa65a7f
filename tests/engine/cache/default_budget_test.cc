#include "engine/cache/budget.h"
#include "gmock/gmock.h"
#include "tests/engine/cache/cache_driver.h"

namespace subgen::testing {
namespace {

TEST(BudgetRule, AnEighthOfTheContextAndAtLeast1024) {
  const CacheConfig config = Config("subgen", 0);
  EXPECT_EQ(WithBudget(config, 512).budget_tokens, 1024);
  EXPECT_EQ(WithBudget(config, 8192).budget_tokens, 1024);
  EXPECT_EQ(WithBudget(config, 131072).budget_tokens, 16384);
}

TEST(BudgetRule, WhatIsGivenStays) {
  CacheConfig config = Config("subgen", 77);
  EXPECT_EQ(WithBudget(config, 131072).budget_tokens, 77);
  config = Config("subgen", 0);
  config.budget_fraction = 0.5;
  EXPECT_EQ(WithBudget(config, 131072).budget_tokens, 0);
  config = Config("subgen", 0);
  config.budget_bytes = 5;
  EXPECT_EQ(WithBudget(config, 131072).budget_tokens, 0);
}

TEST(BudgetRule, PoliciesThatKeepEverythingTakeNone) {
  for (const char* policy : {"exact", "kivi"}) {
    EXPECT_FALSE(TakesBudget(Config(policy, 0)));
    EXPECT_EQ(WithBudget(Config(policy, 0), 131072).budget_tokens, 0);
  }
}

// A part of a short context may be less than what is always exact: then that is
// kept, and a row for the sketch of each token shard.
TEST(BudgetRule, FractionsHoldAtLeastWhatIsAlwaysExact) {
  for (CacheConfig config : AllPolicies(0)) {
    config.recent_tokens = 256;
    config.budget_fraction = 0.1;
    for (const int64_t context : {1, 20, 261, 262, 300, 1000, 3000}) {
      for (const int shards : {1, 3}) {
        CacheShape shape = Shape(8, context);
        shape.token_shards = shards;
        shape.token_block = 16;
        const auto plan = PlanCache(config, shape);
        ASSERT_TRUE(plan.ok())
            << config.policy << " " << context << " " << plan.status();
        const int64_t rows = *BudgetRows(config, shape);
        EXPECT_LE(rows, context);
        EXPECT_GE(rows, std::min<int64_t>(context, context / 10));
      }
    }
  }
}

TEST(BudgetRule, NoStreamTakesMoreBytesThanTheMost) {
  constexpr int64_t kDim = 32, kContext = 2000;
  for (CacheConfig config : AllPolicies(400)) {
    for (const char* format : {"f32", "bf16", "q8", "q4", "q3"}) {
      if (config.policy == "kivi" && format[0] == 'q') continue;
      config.row_format = format;
      CacheShape shape = Shape(kDim, kContext);
      CacheDriver driver(config, shape, TaggedStream(1, kDim));
      while (driver.next(0) < 1500) {
        if (Observes(config)) {
          driver.Step({{0, 20, false}});
        } else {
          driver.Feed(0, 100);
        }
      }
      const CacheStats stats = driver.policy().Stats(0);
      EXPECT_LE(stats.bytes.used, stats.bytes.reserved);
      if (config.when == "once") continue;  // holds the prompt before
      EXPECT_LE(stats.bytes.used, MostCacheBytes(config, shape))
          << config.policy << " " << format;
    }
  }
}

}  // namespace
}  // namespace subgen::testing
