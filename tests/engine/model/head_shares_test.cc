#include "engine/model/head_shares.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "engine/model/key_spread_probe.h"

namespace subgen {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;

// The keys are two in two dimensions, (3, 4) and (0, 2): the mean unit key is
// (0.3, 0.9), the mean key (1.5, 3), of which both are sqrt(3.25) away.
TEST(HeadShares, SpreadByHand) {
  const std::vector<float> sums = {0.6f, 1.8f, 3.0f, 6.0f, 29.0f, 2.0f};
  EXPECT_EQ(KeySumsSize(2), 6);
  EXPECT_NEAR(KeySpread(sums), (1.0 - 0.09 - 0.81) * std::sqrt(3.25), 1e-6);
}

// Weights are 1, 1 and 32: of 2.7 rows 2.7 / 34 are for each of the first two.
TEST(HeadShares, FifthPowersByHand) {
  const std::vector<double> shares = SharesBySpreads({1.0, 1.0, 2.0}, 100.0);
  EXPECT_THAT(shares, ElementsAre(5.0 / 32, 5.0 / 32, 84.0 / 32));
}

// The third has no use for more than 2: the others share what is left of 3.
TEST(HeadShares, WhatAHeadCannotUseIsForTheOthers) {
  EXPECT_THAT(SharesBySpreads({1.0, 1.0, 2.0}, 2.0),
              ElementsAre(0.5, 0.5, 2.0));
  EXPECT_THAT(SharesBySpreads({1.0, 1.0, 2.0}, 1.0), Each(1.0));
}

TEST(HeadShares, NothingKnownIsAllAlike) {
  EXPECT_THAT(SharesBySpreads({0.0, 0.0}, 5.0), ElementsAre(1.0, 1.0));
  EXPECT_THAT(SharesBySpreads({NAN, 1.0}, 5.0), ElementsAre(1.0, 1.0));
  EXPECT_THAT(SharesBySpreads({INFINITY, 1.0}, 5.0), ElementsAre(1.0, 1.0));
}

TEST(HeadShares, NeverMoreThanTheWholeAndHeadsOnlyLoseOnceTheyHaveLost) {
  std::vector<double> spreads;
  for (int i = 0; i < 90; ++i) spreads.push_back(0.5 + (i * 37 % 90) / 60.0);
  const std::vector<HeadShares> steps = SharesOverTime(spreads, 8.0);
  ASSERT_GE(steps.size(), 5u);
  std::vector<double> before(90, 1.0);
  double most = 1.0;
  for (const HeadShares& step : steps) {
    EXPECT_GT(step.most, most);
    const double sum =
        std::accumulate(step.shares.begin(), step.shares.end(), 0.0);
    EXPECT_LE(sum, 90.0);
    EXPECT_GE(sum, 90.0 * (1.0 - 1.0 / 32));  // what rounding down leaves
    for (int i = 0; i < 90; ++i) {
      EXPECT_LE(step.shares[i], step.most);
      if (before[i] < most) {
        EXPECT_LE(step.shares[i], before[i]);
      }
    }
    before = step.shares;
    most = step.most;
  }
}

TEST(HeadShares, NoStepsWhereEverythingFits) {
  EXPECT_TRUE(SharesOverTime({1.0, 2.0}, 1.0).empty());
}

TEST(HeadShares, MeasuredTokensAreOfTheVocabularyAndMostlyFrequent) {
  int low = 0;
  for (int64_t i = 0; i < kMeasuredTokens; ++i) {
    const int token = MeasuredToken(i, 50000);
    EXPECT_GE(token, 0);
    EXPECT_LT(token, 50000);
    low += token < 224;  // sqrt(50000): half of them
    EXPECT_EQ(MeasuredToken(i, 1), 0);
  }
  EXPECT_NEAR(low, kMeasuredTokens / 2, 5.0 * std::sqrt(kMeasuredTokens / 4));
}

}  // namespace
}  // namespace subgen
