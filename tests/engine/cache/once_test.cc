// With cache.when = once everything is kept until the prompt ends, then the
// budget holds.
#include <gtest/gtest.h>

#include "tests/engine/cache/cache_driver.h"

namespace subgen::testing {
namespace {

constexpr int64_t kDim = 4, kContext = 1000, kPrompt = 200;

CacheConfig Once(CacheConfig config) {
  config.when = "once";
  return config;
}

TEST(Once, ThePromptIsExactAndWithinTheBudgetAfterIt) {
  for (const CacheConfig& config : AllPolicies(40)) {
    if (config.when != "once" || config.policy == "exact") continue;
    CacheDriver driver(config, Shape(kDim, kContext), TaggedStream(6, kDim));
    CacheDriver exact(Config("exact", 40), Shape(kDim, kContext),
                      TaggedStream(6, kDim));
    for (int i = 0; i < 20; ++i) {
      ASSERT_EQ(driver.Step({{0, 10, i == 19}}), exact.Step({{0, 10}}))
          << Name(config);
    }
    // These two hold other rows than those of their budget.
    if (config.subgen.mode == "streaming" || config.policy == "kivi") continue;
    EXPECT_LE(driver.policy().Stats(0).rows, 2 * 40) << Name(config);
    EXPECT_LT(driver.policy().Stats(0).bytes.reserved,
              exact.policy().Stats(0).bytes.reserved);
  }
}

// Policies that choose without attention and one token after another keep what
// they would have kept in the stream.
TEST(Once, KeepsWhatTheStreamKeepsWhereChoosingKnowsNoAttention) {
  for (CacheConfig config : AllPolicies(40)) {
    const bool plain = config.policy == "window" ||
                       config.policy == "uniform" || config.policy == "kivi" ||
                       config.subgen.mode == "streaming";
    if (config.when == "once" || !plain) continue;
    for (const int shards : {1, 2}) {
      CacheShape shape = Shape(kDim, kContext);
      shape.token_shards = shards;
      CacheDriver stream(config, shape, TaggedStream(6, kDim));
      CacheDriver once(Once(config), shape, TaggedStream(6, kDim));
      for (CacheDriver* driver : {&stream, &once}) {
        driver->FeedAll(kPrompt, 33, true);
        driver->FeedAll(kPrompt + 50, 7);
      }
      for (int shard = 0; shard < shards; ++shard) {
        EXPECT_EQ(stream.Kept(0, 0, shard), once.Kept(0, 0, shard))
            << Name(config);
        EXPECT_EQ(stream.policy(shard).Stats(0).bytes.reserved,
                  once.policy(shard).Stats(0).bytes.reserved);
      }
    }
  }
}

// Some tokens are looked at only near the end of the prompt: a stream has
// dropped them by then.
TEST(Once, HeavyHittersAreChosenByAllTheAttentionOfThePrompt) {
  const std::vector<int64_t> wanted = {30, 60, 90};
  Stream tokens = TaggedStream(3, kDim);
  tokens.key = [&](int, int64_t position) {
    Floats key(kDim, 0.0f);
    key[0] = std::count(wanted.begin(), wanted.end(), position) ? 20.0f : 0.0f;
    return key;
  };
  tokens.query = [](int, int64_t position) {
    Floats query(kDim, 0.0f);
    query[0] = position < 150 ? -1.0f : 1.0f;
    return query;
  };
  const auto found = [&](const CacheConfig& config) {
    CacheDriver driver(config, Shape(kDim, kContext), tokens);
    for (int i = 0; i < 20; ++i) driver.Step({{0, 10, i == 19}});
    const std::vector<int64_t> kept = driver.Kept(0, 0);
    return std::includes(kept.begin(), kept.end(), wanted.begin(),
                         wanted.end());
  };
  const CacheConfig config = Config("heavy_hitter", 2 + 8 + 3);
  EXPECT_TRUE(found(Once(config)));
  EXPECT_FALSE(found(config));
}

}  // namespace
}  // namespace subgen::testing
