// These hold for every policy: what is kept depends on neither chunks nor
// neighbors in a batch, and windows do not depend on token shards.
#include <set>

#include "tests/engine/cache/cache_driver.h"

namespace subgen::testing {
namespace {

constexpr int64_t kDim = 8, kContext = 10000;

std::vector<SeenRow> SortedRows(CacheDriver& driver, int slot, int kv_head,
                                int shard = 0) {
  std::vector<SeenRow> rows = driver.Seen(slot, kv_head, shard);
  std::sort(rows.begin(), rows.end());
  return rows;
}

TEST(Policies, ChunksDoNotChangeWhatIsKept) {
  for (const CacheConfig& config : AllPolicies(40)) {
    if (Observes(config)) continue;  // a chunk is scored before it is cut
    for (const int shards : {1, 2}) {
      CacheShape shape = Shape(kDim, kContext);
      shape.token_shards = shards;
      CacheDriver one(config, shape, TaggedStream(4, kDim));
      one.FeedAll(333, 1, true);
      for (const int chunk : {7, 64, 333}) {
        CacheDriver many(config, shape, TaggedStream(4, kDim));
        many.FeedAll(333, chunk, true);
        for (int shard = 0; shard < shards; ++shard) {
          for (int head = 0; head < shape.kv_heads; ++head) {
            EXPECT_EQ(SortedRows(one, 0, head, shard),
                      SortedRows(many, 0, head, shard))
                << Name(config) << " " << chunk;
          }
        }
      }
    }
  }
}

TEST(Policies, SinksAndRecentTokensAreAlwaysThere) {
  for (const CacheConfig& config : AllPolicies(40)) {
    CacheDriver driver(config, Shape(kDim, kContext), TaggedStream(6, kDim));
    for (int i = 0; i < 60; ++i) {
      driver.Step({{0, 1 + i % 5}});
      for (int head = 0; head < 2; ++head) {
        const auto kept = driver.Kept(0, head);
        for (int64_t p = 0; p < driver.next(0); ++p) {
          if (p >= config.sink_tokens &&
              p < driver.next(0) - config.recent_tokens) {
            continue;
          }
          ASSERT_TRUE(std::binary_search(kept.begin(), kept.end(), p))
              << Name(config) << " " << p << " of " << driver.next(0);
        }
      }
    }
  }
}

TEST(Policies, RowsStayWithinTheBudget) {
  for (const CacheConfig& config : AllPolicies(40)) {
    if (!IsBounded(config)) continue;
    CacheDriver driver(config, Shape(kDim, kContext), TaggedStream(6, kDim));
    for (int i = 0; i < 40; ++i) {
      driver.Step({{0, 1 + 3 * (i % 7)}});
      const CacheStats stats = driver.policy().Stats(0);
      EXPECT_EQ(stats.tokens_seen, driver.next(0));
      EXPECT_EQ(stats.rows, static_cast<int64_t>(driver.Seen(0, 0).size() +
                                                 driver.Seen(0, 1).size()));
      if (config.subgen.mode == "streaming") continue;
      EXPECT_LE(stats.rows, 2 * 40);
    }
  }
}

// Each shard keeps tokens of its own, and together they keep the window that
// one shard would.
TEST(Policies, TokenShardsPartitionTheWindow) {
  for (const CacheConfig& config : AllPolicies(60)) {
    for (const int shards : {2, 3}) {
      CacheShape shape = Shape(kDim, kContext);
      shape.token_shards = shards;
      CacheDriver driver(config, shape, TaggedStream(4, kDim));
      for (int i = 0; i < 30; ++i) {
        driver.Step({{0, 1 + (i * 7) % 13, i == 20}});
      }
      std::set<int64_t> kept;
      for (int shard = 0; shard < shards; ++shard) {
        const TokenDealing dealing = {shards, shard, shape.token_block};
        for (const int64_t position : driver.Kept(0, 0, shard)) {
          EXPECT_TRUE(dealing.Owns(position)) << Name(config);
          // Algorithm 1 may draw a token into several slots.
          const bool fresh = kept.insert(position).second;
          EXPECT_TRUE(fresh || config.subgen.mode == "streaming");
        }
      }
      for (int64_t p = driver.next(0) - 8; p < driver.next(0); ++p) {
        EXPECT_EQ(kept.count(p), 1u) << Name(config) << " " << p;
      }
      EXPECT_TRUE(kept.count(0) && kept.count(1)) << Name(config);
      if (config.policy != "window") continue;
      EXPECT_EQ(kept.size(), 60u);
    }
  }
}

TEST(Policies, SlotsAreIndependent) {
  for (const CacheConfig& config : AllPolicies(40)) {
    const CacheShape shape = Shape(kDim, kContext);
    const Stream stream = TaggedStream(9, kDim);
    CacheDriver alone(config, shape, stream), both(config, shape, stream);
    for (int i = 0; i < 40; ++i) {
      const auto want = alone.Step({{0, 3}});
      const auto got = both.Step({{1, 5}, {0, 3}});
      // The first rows of a head are those of slot 1.
      const int64_t rows = 3 * shape.group, first = 5 * shape.group;
      for (int head = 0; head < shape.kv_heads; ++head) {
        for (int64_t j = 0; j < rows; ++j) {
          ASSERT_EQ(want[head * rows + j],
                    got[head * (rows + first) + first + j])
              << Name(config);
        }
      }
    }
    EXPECT_EQ(SortedRows(alone, 0, 1), SortedRows(both, 0, 1));
  }
}

TEST(Policies, ForgetEmptiesASlotAndLeavesTheOther) {
  for (const CacheConfig& config : AllPolicies(40)) {
    const CacheShape shape = Shape(kDim, kContext);
    CacheDriver driver(config, shape, TaggedStream(9, kDim));
    for (int i = 0; i < 30; ++i) driver.Step({{0, 3}, {1, 4}});
    const auto other = driver.Seen(1, 0);
    driver.policy().Forget(0);
    driver.set_next(0, 0);
    EXPECT_EQ(driver.policy().Stats(0).tokens_seen, 0);
    EXPECT_EQ(driver.policy().Stats(0).rows, 0);
    EXPECT_EQ(driver.policy().Stats(0).bytes.reserved, 0);
    EXPECT_TRUE(driver.Seen(0, 0).empty());
    EXPECT_EQ(driver.Seen(1, 0), other);
    CacheDriver fresh(config, shape, TaggedStream(9, kDim));
    for (int i = 0; i < 30; ++i) {
      EXPECT_EQ(driver.Step({{0, 3}}), fresh.Step({{0, 3}})) << Name(config);
    }
  }
}

TEST(Policies, KeysThatAreNoNumbersDoNotHang) {
  for (const CacheConfig& config : AllPolicies(30)) {
    Stream stream = RandomStream(2, kDim);
    stream.key = [](int, int64_t) { return Floats(kDim, NAN); };
    stream.value = stream.key;
    CacheDriver driver(config, Shape(kDim, kContext), stream);
    for (int i = 0; i < 50; ++i) driver.Step({{0, 4, i == 25}});
    EXPECT_EQ(driver.policy().Stats(0).tokens_seen, 200);
  }
}

}  // namespace
}  // namespace subgen::testing
