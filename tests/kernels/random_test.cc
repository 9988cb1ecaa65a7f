#include "kernels/base/random.h"

#include <gmock/gmock.h>

#include <cmath>
#include <set>

namespace subgen {
namespace {

using Words = std::array<uint32_t, 4>;

// These are known answers of the Random123 distribution (kat_vectors,
// philox4x32 10).
TEST(Philox, KnownAnswers) {
  EXPECT_EQ(Philox({0, 0, 0, 0}, {0, 0}),
            (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  constexpr uint32_t kOnes = 0xffffffff;
  EXPECT_EQ(Philox({kOnes, kOnes, kOnes, kOnes}, {kOnes, kOnes}),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(Philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
                   {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(CounterRandom, DrawsAreWordsOfConsecutiveBlocks) {
  const CounterRandom random(0, 0, 0, 0);
  const Words first = Philox({0, 0, 0, 0}, {0, 0});
  const Words second = Philox({1, 0, 0, 0}, {0, 0});
  for (uint32_t i = 0; i < 4; ++i) {
    EXPECT_EQ(random.Uniform(i), first[i] * 0x1p-32);
    EXPECT_EQ(random.Uniform(4 + i), second[i] * 0x1p-32);
  }
}

TEST(CounterRandom, EveryPartOfTheKeyMatters) {
  std::set<double> draws;
  for (const uint64_t seed : {uint64_t{1}, uint64_t{1} << 40}) {
    for (const int layer : {0, 1}) {
      for (const int head : {0, 1}) {
        for (const int64_t position : {int64_t{0}, int64_t{1} << 35}) {
          draws.insert(CounterRandom(seed, layer, head, position).Uniform(0));
        }
      }
    }
  }
  EXPECT_EQ(draws.size(), 16u);
}

// A uniform number has mean 1/2 and variance 1/12, within five deviations.
TEST(CounterRandom, UniformHasItsMeanAndVariance) {
  constexpr int kDraws = 100000;
  double sum = 0.0, squares = 0.0;
  for (int position = 0; position < kDraws; ++position) {
    const double x = CounterRandom(7, 3, 2, position).Uniform(0);
    ASSERT_GE(x, 0.0);
    ASSERT_LT(x, 1.0);
    sum += x - 0.5;
    squares += (x - 0.5) * (x - 0.5);
  }
  EXPECT_NEAR(sum / kDraws, 0.0, 5 * std::sqrt(1.0 / 12 / kDraws));
  // The fourth central moment is 1/80.
  EXPECT_NEAR(squares / kDraws, 1.0 / 12,
              5 * std::sqrt((1.0 / 80 - 1.0 / 144) / kDraws));
}

TEST(CounterRandomDeathTest, RefusesWhatDoesNotFit) {
  EXPECT_DEATH(CounterRandom(0, 65536, 0, 0), "check failed");
  EXPECT_DEATH(CounterRandom(0, 0, -1, 0), "check failed");
}

}  // namespace
}  // namespace subgen
