// Where nothing need be dropped, every policy is exact attention.
#include "tests/engine/cache/cache_driver.h"

namespace subgen::testing {
namespace {

constexpr int64_t kDim = 8;

// Streams `chunks` through the policy and compares each attention output with
// the definition. Error of f32 partials: each of at most `merges` merges
// rescales by an exponential whose argument is rounded, so that a weight is off
// by (|logit| + 4) epsilon, and |value| <= 1; the last factor 2 is for the
// partition's error in the quotient.
void ExpectExact(const CacheConfig& config, const CacheShape& shape,
                 const std::vector<int>& chunks) {
  const Stream stream = RandomStream(7, kDim, 2.0f);
  CacheDriver driver(config, shape, stream);
  const int merges = 4 * shape.token_shards;
  const double tolerance = 0x1p-23 * merges * (2.0 * kDim + 4.0) * 2.0;
  for (const int count : chunks) {
    const int64_t position = driver.next(0);
    const auto out = driver.Step({{0, count}});
    for (int head = 0; head < shape.kv_heads; ++head) {
      for (int i = 0; i < count * shape.group; ++i) {
        const int64_t at = position + i / shape.group;
        std::vector<Floats> keys, values;
        for (int64_t j = 0; j <= at; ++j) {
          keys.push_back(stream.key(head, j));
          values.push_back(stream.value(head, j));
        }
        const auto want = DirectAttention(
            stream.query(head * shape.group + i % shape.group, at), keys,
            values);
        const Floats& got = out[head * count * shape.group + i];
        for (int64_t c = 0; c < kDim; ++c) {
          ASSERT_NEAR(got[c], want[c], tolerance)
              << Name(config) << " position " << at;
        }
      }
    }
  }
}

TEST(Exactness, BudgetOfTheContextIsExactForEveryPolicyAndTokenShards) {
  for (const int shards : {1, 2, 3}) {
    for (const CacheConfig& config : AllPolicies(80)) {
      if (config.policy == "kivi") continue;  // few bits whatever the budget
      CacheShape shape = Shape(kDim, 80);
      shape.token_shards = shards;
      ExpectExact(config, shape, {1, 20, 1, 33, 1, 1, 23});
    }
  }
}

TEST(Exactness, NoBudgetIsTheContext) {
  for (const CacheConfig& config : AllPolicies(0)) {
    if (config.policy == "kivi") continue;
    ExpectExact(config, Shape(kDim, 60), {32, 1, 27});
  }
}

// Sketches that hold everything so far, in a context that they will not hold.
TEST(Exactness, SketchesOfPlainRowsAreExactUntilTheyOverflow) {
  for (const CacheConfig& config : AllPolicies(60)) {
    if (config.subgen.mode == "streaming" || config.policy == "kivi") continue;
    ExpectExact(config, Shape(kDim, 1000), {16, 1, 1, 41, 1});
  }
}

TEST(Exactness, ChunkLongerThanTheWindowIsAttendedInFull) {
  for (const CacheConfig& config : AllPolicies(40)) {
    ExpectExact(config, Shape(kDim, 1000), {100});
  }
}

TEST(Exactness, HalfPrecisionRowsAreTheRoundedTokens) {
  for (const char* format : {"bf16", "f16"}) {
    CacheConfig config = Config("exact", 0);
    config.row_format = format;
    CacheDriver driver(config, Shape(kDim, 50), RandomStream(3, kDim));
    driver.FeedAll(30, 7);
    const auto rows = driver.Seen(0, 1);
    ASSERT_EQ(rows.size(), 30u);
    const double half_unit = format[0] == 'b' ? 0x1p-9 : 0x1p-12;
    for (int64_t i = 0; i < 30; ++i) {
      const Floats key = RandomRow(3, 0, 1, i, kDim);
      for (int64_t c = 0; c < kDim; ++c) {
        EXPECT_NEAR(rows[i].key[c], key[c], half_unit);
      }
    }
  }
}

}  // namespace
}  // namespace subgen::testing
