#include "gmock/gmock.h"
#include "tests/engine/cache/cache_driver.h"

namespace subgen::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr int64_t kDim = 4, kContext = 5000;

CacheDriver Driver(const CacheConfig& config) {
  return CacheDriver(config, Shape(kDim, kContext), RandomStream(2, kDim));
}

void StepMany(CacheDriver& driver, int steps) {
  for (int i = 0; i < steps; ++i) driver.Step({{0, 1 + i % 9, i == 20}});
}

TEST(SavedSlot, ContinuesBitForBit) {
  for (const CacheConfig& config : AllPolicies(40)) {
    for (const int steps : {0, 1, 15, 40}) {  // empty, window only, full
      CacheDriver first = Driver(config), second = Driver(config);
      StepMany(first, steps);
      const std::string saved = first.policy().Save(0);
      const absl::Status loaded = second.policy().Load(1, saved);
      ASSERT_TRUE(loaded.ok()) << Name(config) << " " << loaded;
      second.set_next(1, first.next(0));
      EXPECT_EQ(second.policy().Save(1), saved);
      EXPECT_EQ(second.policy().Stats(1).rows, first.policy().Stats(0).rows);
      for (int i = 0; i < 30; ++i) {
        ASSERT_EQ(first.Step({{0, 1 + i % 4}}), second.Step({{1, 1 + i % 4}}))
            << Name(config) << " " << steps << " " << i;
      }
      EXPECT_EQ(second.policy().Save(1), first.policy().Save(0));
    }
  }
}

TEST(SavedSlot, AnotherPolicyShapeOrSettingIsRefused) {
  const auto all = AllPolicies(40);
  for (const CacheConfig& config : all) {
    CacheDriver driver = Driver(config);
    StepMany(driver, 20);
    const std::string saved = driver.policy().Save(0);
    for (const CacheConfig& other : all) {
      if (Name(other) == Name(config)) continue;
      EXPECT_FALSE(Driver(other).policy().Load(0, saved).ok());
    }
    CacheConfig seed = config, format = config;
    seed.seed = 2;
    format.row_format = "bf16";
    const auto refused = Driver(seed).policy().Load(0, saved);
    EXPECT_THAT(std::string(refused.message()),
                AllOf(HasSubstr("seed 1"), HasSubstr("seed 2")));
    EXPECT_FALSE(Driver(format).policy().Load(0, saved).ok());
    CacheShape shape = Shape(kDim, kContext);
    shape.layer = 4;
    CacheDriver layer(config, shape, RandomStream(2, kDim));
    EXPECT_FALSE(layer.policy().Load(0, saved).ok());
  }
}

// After a load that failed the slot is empty; after one that did not, whatever
// the bytes say, the policy goes on.
void ExpectSurvives(const CacheConfig& config, const std::string& bytes,
                    int64_t next) {
  CacheDriver driver = Driver(config);
  StepMany(driver, 3);
  const absl::Status loaded = driver.policy().Load(0, bytes);
  if (loaded.ok()) {
    next = driver.policy().Stats(0).tokens_seen;
  } else {
    EXPECT_EQ(driver.policy().Stats(0).tokens_seen, 0);
    EXPECT_EQ(loaded.message().find('\n'), absl::string_view::npos);
    next = 0;
  }
  driver.set_next(0, next);
  for (int i = 0; i < 3; ++i) driver.Step({{0, 20}});
  EXPECT_EQ(driver.policy().Stats(0).tokens_seen, next + 60);
}

TEST(SavedSlot, DamagedBytesNeverCrash) {
  for (const CacheConfig& config : AllPolicies(40)) {
    CacheDriver driver = Driver(config);
    StepMany(driver, 40);
    const std::string saved = driver.policy().Save(0);
    const int64_t size = saved.size();
    const CounterRandom random(1, 0, 0, 0);
    for (int i = 0; i < 150; ++i) {
      std::string damaged = saved;
      const int64_t at = static_cast<int64_t>(random.Uniform(3 * i) * size);
      if (i % 3 == 0) {
        damaged.resize(at);
      } else {
        const int byte = static_cast<int>(random.Uniform(3 * i + 1) * 255) + 1;
        damaged[at] = static_cast<char>(damaged[at] ^ byte);
      }
      ExpectSurvives(config, damaged, driver.next(0));
    }
    // Every 8-byte word in turn is a size that is none.
    const std::string huge(8, '\x7f');
    for (int64_t at = 0; at + 8 <= size;
         at += std::max<int64_t>(1, size / 200)) {
      std::string damaged = saved;
      damaged.replace(at, 8, huge);
      ExpectSurvives(config, damaged, driver.next(0));
    }
    EXPECT_FALSE(Driver(config).policy().Load(0, saved + "x").ok());
    EXPECT_FALSE(Driver(config).policy().Load(0, "").ok());
  }
}

}  // namespace
}  // namespace subgen::testing
