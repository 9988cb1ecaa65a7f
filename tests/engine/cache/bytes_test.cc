// In 100,000 tokens bytes stay what they are, under the budget, and are those
// of the rows that are held.
#include "tests/engine/cache/cache_driver.h"

namespace subgen::testing {
namespace {

constexpr int64_t kDim = 4, kTokens = 100000, kBudget = 4096;
constexpr int64_t kRow = 2 * kDim;   // bytes of a key in bf16
constexpr int64_t kWindow = 2 + 8;   // sinks and recent tokens
constexpr int64_t kPair = 2 * kRow;  // a key and its value

// Returns the bytes at the budget, computed by hand.
int64_t BytesByHand(const CacheConfig& config) {
  if (config.policy == "window" || config.policy == "uniform" ||
      config.policy == "ring") {
    return kBudget / kPair * kPair;
  }
  if (config.policy == "heavy_hitter") {  // score of all, position behind
    const int64_t rows = kBudget / (kPair + 8);
    return rows * (kPair + 4) + (rows - kWindow) * 4;
  }
  if (config.policy == "key_diff") {  // norm, alignment; a sum of keys
    const int64_t rows = (kBudget - kDim * 8) / (kPair + 4 + 8) - kWindow;
    return kWindow * kPair + rows * (kPair + 4 + 8) + kDim * 8;
  }
  if (config.policy == "snap_kv") {  // 8 queries in f16, each with a float
    const int64_t ring = 8 * (2 * kDim + 4);
    return (kBudget - ring) / kPair * kPair + ring;
  }
  if (config.subgen.mode == "k_center") {
    // There are two neighbors of 8 bytes and an alignment of 4, also of the
    // token at hand; a count and a bias of 4 where weighted; the mean key, the
    // mean of |v|^2.
    const int64_t count = config.subgen.count_exponent > 0.0 ? 8 : 0;
    const int64_t fixed = 16 + 4 + (kDim + 1) * 8;
    const int64_t row = kPair + 16 + 4 + count;
    return kWindow * kPair + ((kBudget - fixed) / row - kWindow) * row + fixed;
  }
  // 16 bytes are the radius and the sum of |v|^2.
  const int64_t bytes = (kBudget - 16) / kPair * kPair - kWindow * kPair;
  const int64_t slots = bytes / 2 / (kPair + 12);
  const int64_t t = config.subgen.samples_per_cluster;
  const int64_t cluster = (t + 1) * kRow + 4 * t + 4;
  const int64_t clusters = (bytes - slots * (kPair + 12)) / cluster;
  return kWindow * kPair + slots * (kPair + 12) + clusters * cluster + 16;
}

TEST(Bytes, StayUnderTheBudgetForAHundredThousandTokens) {
  for (CacheConfig config : AllPolicies(0)) {
    if (config.policy == "exact" || config.policy == "kivi") continue;
    config.row_format = "bf16";
    config.budget_bytes = kBudget;
    CacheShape shape = Shape(kDim, 2 * kTokens);
    shape.kv_heads = 1;
    shape.group = 1;
    CacheDriver driver(config, shape, RandomStream(1, kDim));
    const int chunk = Observes(config) ? 20 : 500;
    while (driver.next(0) < kTokens) {
      const bool ends_prompt = driver.next(0) == 1000;
      if (Observes(config)) {
        driver.Step({{0, chunk, ends_prompt}});
      } else {
        driver.Feed(0, chunk, ends_prompt);
      }
      const int64_t bytes = driver.policy().Stats(0).bytes.reserved;
      if (config.when == "once" && driver.next(0) <= 1000) continue;
      ASSERT_LE(bytes, kBudget) << Name(config);
      if (driver.next(0) < 20000) continue;  // streaming fills by then
      ASSERT_EQ(bytes, BytesByHand(config)) << Name(config);
    }
    EXPECT_EQ(driver.policy().Stats(0).tokens_seen, kTokens);
  }
}

TEST(Bytes, OfExactStayWithinAnEighthAndABlockOfItsRows) {
  CacheShape shape = Shape(kDim, kTokens);
  CacheDriver driver(Config("exact", 0), shape, RandomStream(1, kDim));
  while (driver.next(0) < 20000) {
    driver.Feed(0, 250);
    const CacheStats stats = driver.policy().Stats(0);
    EXPECT_EQ(stats.rows, 2 * driver.next(0));
    const int64_t least = driver.next(0) * 2 * kDim * 4;
    EXPECT_GE(stats.bytes.reserved / 2, least);
    EXPECT_LE(stats.bytes.reserved / 2, least + least / 8 + 64 * 2 * kDim * 4);
  }
}

TEST(Bytes, GrowOnlyAsTokensCome) {
  for (const CacheConfig& config : AllPolicies(5000)) {
    if (config.subgen.mode == "streaming") continue;  // all slots at once
    CacheDriver driver(config, Shape(kDim, kTokens), RandomStream(1, kDim));
    driver.Step({{0, 100}});
    EXPECT_LE(driver.policy().Stats(0).bytes.reserved,
              2 * 5000 * 2 * kDim * 4 / 10)
        << Name(config);
  }
}

}  // namespace
}  // namespace subgen::testing
