#include "tests/engine/cache/cache_driver.h"

namespace subgen::testing {
namespace {

// 30 tokens leave the window, 10 of them are kept: each with probability 1/3.
TEST(Uniform, EveryTokenIsKeptEquallyOften) {
  constexpr int kSeeds = 20000, kEntered = 30, kRows = 10;
  CacheShape shape = Shape(1, 1000);
  shape.kv_heads = 1;
  std::vector<int> times(2 + kEntered + 8);
  for (int seed = 0; seed < kSeeds; ++seed) {
    CacheConfig config = Config("uniform", 2 + 8 + kRows);
    config.seed = seed;
    CacheDriver driver(config, shape, TaggedStream(1, 1));
    driver.FeedAll(2 + kEntered + 8, 40);
    const auto kept = driver.Kept(0, 0);
    ASSERT_EQ(kept.size(), size_t{2 + 8 + kRows});
    for (const int64_t position : kept) ++times[position];
  }
  const double p = static_cast<double>(kRows) / kEntered;
  const double sigma = std::sqrt(kSeeds * p * (1.0 - p));
  for (int position = 2; position < 2 + kEntered; ++position) {
    EXPECT_NEAR(times[position], kSeeds * p, 5.0 * sigma) << position;
  }
}

TEST(Uniform, HeadsDrawForThemselves) {
  CacheDriver driver(Config("uniform", 30), Shape(4, 10000),
                     TaggedStream(1, 4));
  driver.FeedAll(500, 50);
  EXPECT_NE(driver.Kept(0, 0), driver.Kept(0, 1));
}

}  // namespace
}  // namespace subgen::testing
