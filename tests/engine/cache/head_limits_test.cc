// These are KV heads that may hold different numbers of rows
// (CacheShape::head_shares).
#include "tests/engine/cache/direct_centers.h"

namespace subgen::testing {
namespace {

constexpr int64_t kBudget = 30;  // 20 beside the window

// Until 20 tokens left the window all are kept, then 29 and 10, from 29 on 34
// and 5: 1 + floor(19 share).
CacheShape Unequal() {
  CacheShape shape = Shape(kDim, 100000);
  shape.head_shares = {{1.5, {1.5, 0.5}}, {2.0, {1.75, 0.25}}};
  return shape;
}
size_t LimitByHand(int head, int64_t entered) {
  if (entered <= 20) return 20;
  if (entered <= 29) return head == 0 ? 29 : 10;
  return head == 0 ? 34 : 5;
}

std::vector<CacheConfig> LimitedPolicies(int64_t budget) {
  std::vector<CacheConfig> all;
  for (const CacheConfig& config : AllPolicies(budget)) {
    const bool limited = config.subgen.mode == "k_center" &&
                         config.policy != "kivi" && config.policy != "exact" &&
                         config.policy != "window";
    if (limited) all.push_back(config);
  }
  all.push_back(Weighted(budget, "stream"));
  return all;
}

TEST(HeadLimits, EveryPolicyHoldsAllThatFitsAndThenTheShareOfEachHead) {
  for (const CacheConfig& config : LimitedPolicies(kBudget)) {
    SCOPED_TRACE(Name(config));
    CacheDriver driver(config, Unequal(), TaggedStream(1, kDim));
    while (driver.next(0) < 80) {
      driver.Step({{0, 1, driver.next(0) == 35}});
      const int64_t entered = std::max<int64_t>(0, driver.next(0) - 10);
      const bool whole = config.when == "once" && driver.next(0) <= 35;
      for (int head = 0; head < 2; ++head) {
        const int64_t window = std::min<int64_t>(driver.next(0), 10);
        const int64_t most = LimitByHand(head, entered);
        const int64_t rows = driver.Kept(0, head).size() - window;
        if (config.policy == "snap_kv" && !whole) {  // drops a batch at once
          EXPECT_LE(rows, most);
          EXPECT_GE(rows, std::min(entered, most / 2));
        } else {
          EXPECT_EQ(rows, whole ? entered : std::min(entered, most))
              << entered << " " << head;
        }
      }
    }
  }
}

TEST(HeadLimits, CentersThatGoAreThoseOfBruteForce) {
  for (const int exponent : {0, 3}) {
    for (const int chunk : {1, 17}) {
      CacheConfig config = Weighted(kBudget, "stream");
      config.subgen.metric = "key_value";
      config.subgen.distinctiveness_exponent = exponent;
      const Stream stream = EvenStream(3);
      CacheDriver driver(config, Unequal(), stream);
      ExpectAsDirect(driver, config, stream, LimitByHand, {120, chunk});
    }
  }
}

TEST(HeadLimits, ChunksChangeNothing) {
  for (const CacheConfig& config : LimitedPolicies(kBudget)) {
    if (Observes(config)) continue;
    CacheDriver one(config, Unequal(), TaggedStream(4, kDim));
    CacheDriver many(config, Unequal(), TaggedStream(4, kDim));
    one.FeedAll(150, 1);
    many.FeedAll(150, 50);
    EXPECT_EQ(one.policy().Save(0), many.policy().Save(0)) << Name(config);
  }
}

TEST(HeadLimits, SavedSlotContinuesBitForBit) {
  for (const CacheConfig& config : LimitedPolicies(kBudget)) {
    for (const int tokens : {25, 31, 36, 60}) {
      SCOPED_TRACE(absl::StrCat(Name(config), " ", tokens));
      CacheDriver first(config, Unequal(), RandomStream(2, kDim));
      CacheDriver second(config, Unequal(), RandomStream(2, kDim));
      for (int i = 0; i < tokens; ++i) first.Step({{0, 1, i == 30}});
      const auto loaded = second.policy().Load(0, first.policy().Save(0));
      ASSERT_TRUE(loaded.ok()) << loaded;
      second.set_next(0, first.next(0));
      for (int i = 0; i < 40; ++i) {
        ASSERT_EQ(first.Step({{0, 1}}), second.Step({{0, 1}}));
      }
      EXPECT_EQ(second.policy().Save(0), first.policy().Save(0));
    }
  }
}

TEST(HeadLimits, BytesOfAllHeadsStayUnderTheBudget) {
  for (CacheConfig config : LimitedPolicies(0)) {
    config.row_format = "bf16";
    config.budget_bytes = 4096;
    CacheDriver driver(config, Unequal(), RandomStream(1, kDim));
    while (driver.next(0) < 1000) {
      driver.Step({{0, 7, driver.next(0) == 140}});
      if (config.when == "once" && driver.next(0) <= 147) continue;
      ASSERT_LE(driver.policy().Stats(0).bytes.reserved,
                2 * config.budget_bytes)
          << Name(config) << " " << driver.next(0);
    }
  }
}

}  // namespace
}  // namespace subgen::testing
