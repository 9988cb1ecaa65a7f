#include "engine/cache/budget.h"

#include "gmock/gmock.h"
#include "tests/engine/cache/cache_driver.h"

namespace subgen::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr int64_t kDim = 8, kContext = 1000;

int64_t Rows(const CacheConfig& config) {
  const auto rows = BudgetRows(config, Shape(kDim, kContext));
  EXPECT_TRUE(rows.ok()) << rows.status();
  return rows.value_or(-1);
}

std::string ErrorOf(const CacheConfig& config, CacheShape shape) {
  RecordingBackend backend;
  StepWork work(backend);
  const auto policy = MakeCachePolicy(config, shape, work);
  if (policy.ok()) return "no error";
  EXPECT_EQ(policy.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(policy.status().message().find('\n'), absl::string_view::npos);
  return std::string(policy.status().message());
}
std::string ErrorOf(const CacheConfig& config) {
  return ErrorOf(config, Shape(kDim, kContext));
}

TEST(Budget, RowsFromTokensBytesOrFraction) {
  CacheConfig config = Config("uniform", 0);
  EXPECT_EQ(Rows(config), kContext);
  config.budget_tokens = 100;
  EXPECT_EQ(Rows(config), 100);
  config.budget_tokens = 5000;
  EXPECT_EQ(Rows(config), kContext);
  config.budget_tokens = 0;
  config.budget_fraction = 0.25;
  EXPECT_EQ(Rows(config), 250);
  config.budget_fraction = 0.0;
  config.budget_bytes = 100 * 2 * kDim * 4 + 63;  // f32 keys and values
  EXPECT_EQ(Rows(config), 100);
  config.policy = "heavy_hitter";  // a score and a position of 4 bytes each
  config.budget_bytes = 100 * (2 * kDim * 4 + 8);
  EXPECT_EQ(Rows(config), 100);
  config.policy = "exact";
  EXPECT_EQ(Rows(config), kContext);
}

TEST(Budget, PartOfItIsForTheLastTokens) {
  CacheConfig config = Config("uniform", 200);
  config.recent_fraction = 0.33;
  EXPECT_EQ(RecentTokens(config, 200), 66);
  EXPECT_EQ(RecentTokens(config, 20), 8);  // as many as are always exact
  CacheDriver driver(config, Shape(kDim, kContext), TaggedStream(1, kDim));
  driver.FeedAll(900, 50);
  const std::vector<int64_t> kept = driver.Kept(0, 0);
  ASSERT_EQ(kept.size(), 200u);
  for (int i = 0; i < 66; ++i) EXPECT_EQ(kept[199 - i], 899 - i);
}

// This holds also in rows of few bits, and over token shards; the window is
// that of one shard.
TEST(Budget, BytesAreALimitWhereThereAreManyLastTokens) {
  constexpr int64_t kWide = 32, kBytes = 24000;
  for (CacheConfig config : AllPolicies(0)) {
    if (config.policy == "exact" || config.policy == "kivi") continue;
    if (config.when == "once" || config.subgen.mode == "streaming") continue;
    for (const char* format : {"bf16", "q8", "q4"}) {
      for (const int shards : {1, 2, 3}) {
        if (config.policy == "window" && shards > 1) continue;
        config.row_format = format;
        config.budget_bytes = kBytes;
        config.recent_fraction = 0.33;
        CacheShape shape = Shape(kWide, 5000);
        shape.token_shards = shards;
        CacheDriver driver(config, shape, RandomStream(1, kWide));
        while (driver.next(0) < 1500) driver.Step({{0, 50}});
        int64_t bytes = 0;
        for (int shard = 0; shard < shards; ++shard) {
          bytes += driver.policy(shard).Stats(0).bytes.reserved;
        }
        EXPECT_LE(bytes, 2 * kBytes) << Name(config) << " " << format;
        EXPECT_GE(bytes, kBytes) << Name(config) << " " << format;
      }
    }
  }
}

TEST(Budget, TooSmallABudgetNamesWhatToChange) {
  CacheConfig config = Config("subgen", 10);  // 2 sinks, 8 recent, one more
  EXPECT_THAT(ErrorOf(config),
              AllOf(HasSubstr("cache.budget_tokens = 10"),
                    HasSubstr("at least 11"), HasSubstr("recent_tokens = 8")));
  config.budget_tokens = 11;
  EXPECT_EQ(ErrorOf(config), "no error");
  config = Config("window", 2);
  EXPECT_THAT(ErrorOf(config), HasSubstr("at least 3"));
  config.budget_tokens = 3;
  EXPECT_EQ(ErrorOf(config), "no error");
}

TEST(Budget, EveryTokenShardRefusesWhatOneCannotHold) {
  CacheShape shape = Shape(kDim, kContext);
  shape.token_shards = 2;
  shape.token_block = 16;  // a shard may own all 8 recent tokens
  for (shape.token_shard = 0; shape.token_shard < 2; ++shape.token_shard) {
    EXPECT_THAT(ErrorOf(Config("uniform", 20), shape),
                AllOf(HasSubstr("token shard 0"), HasSubstr("token_block")));
    EXPECT_EQ(ErrorOf(Config("uniform", 22), shape), "no error");
  }
}

TEST(Budget, StreamingNeedsAClusterAndASample) {
  CacheConfig config = Config("subgen", 12);
  config.subgen.mode = "streaming";
  config.subgen.samples_per_cluster = 64;
  EXPECT_THAT(ErrorOf(config),
              AllOf(HasSubstr("0 clusters"), HasSubstr("samples_per_cluster")));
}

template <class Change>
std::string ErrorWith(Change change) {
  CacheConfig config = Config("subgen", 100);
  EXPECT_EQ(ErrorOf(config), "no error");
  change(config);
  return ErrorOf(config);
}

TEST(Budget, IllegalNamesAreListedWithTheLegalOnes) {
  EXPECT_THAT(ErrorWith([](auto& c) { c.policy = "lru"; }),
              AllOf(HasSubstr("lru"), HasSubstr("heavy_hitter")));
  EXPECT_THAT(ErrorWith([](auto& c) { c.row_format = "q9"; }),
              AllOf(HasSubstr("q9"), HasSubstr("bf16")));
  EXPECT_THAT(ErrorWith([](auto& c) { c.subgen.mode = "best"; }),
              AllOf(HasSubstr("best"), HasSubstr("streaming")));
  EXPECT_THAT(ErrorWith([](auto& c) { c.when = "later"; }),
              AllOf(HasSubstr("cache.when = \"later\""), HasSubstr("once")));
  EXPECT_THAT(ErrorWith([](auto& c) { c.when = "never"; }),
              AllOf(HasSubstr("never"), HasSubstr("once")));
}

TEST(Budget, IllegalNumbersAreNamed) {
  EXPECT_THAT(ErrorWith([](auto& c) { c.subgen.count_exponent = NAN; }),
              HasSubstr("count_exponent"));
  EXPECT_THAT(ErrorWith([](auto& c) { c.budget_bytes = 4096; }),
              HasSubstr("at most one"));
  EXPECT_THAT(ErrorWith([](auto& c) { c.budget_tokens = -1; }),
              HasSubstr("budget_tokens = -1"));
  EXPECT_THAT(ErrorWith([](auto& c) { c.budget_bytes = -1; }),
              HasSubstr("budget_bytes = -1"));
  EXPECT_THAT(ErrorWith([](auto& c) { c.budget_fraction = 1.5; }),
              HasSubstr("budget_fraction = 1.5"));
  EXPECT_THAT(ErrorWith([](auto& c) { c.sink_tokens = -4; }),
              HasSubstr("sink_tokens = -4"));
  EXPECT_THAT(ErrorWith([](auto& c) { c.kivi.exact_tokens = 0; }),
              HasSubstr("kivi.exact_tokens = 0"));
  EXPECT_THAT(ErrorWith([](auto& c) { c.recent_tokens = 0; }),
              HasSubstr("recent_tokens = 0"));
  EXPECT_THAT(ErrorWith([](auto& c) {
                c.subgen.mode = "streaming";
                c.subgen.value_share = 1.0;
              }),
              HasSubstr("value_share = 1"));
  EXPECT_THAT(ErrorWith([](auto& c) {
                c.subgen.mode = "streaming";
                c.subgen.samples_per_cluster = 0;
              }),
              HasSubstr("samples_per_cluster = 0"));
  EXPECT_THAT(ErrorWith([](auto& c) {
                c.subgen.mode = "streaming";
                c.subgen.radius = -1.0;
              }),
              HasSubstr("radius = -1"));
  EXPECT_THAT(ErrorOf(Config("subgen", 100), Shape(kDim, 0)),
              HasSubstr("context_tokens = 0"));
}

}  // namespace
}  // namespace subgen::testing
