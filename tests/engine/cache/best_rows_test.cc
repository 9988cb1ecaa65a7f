#include "engine/cache/policies/best_rows.h"

#include <cmath>

#include "gmock/gmock.h"

namespace subgen::testing {
namespace {

using ::testing::ElementsAre;

TEST(BestRows, AreTheHighestInTheirOrder) {
  const std::vector<double> scores = {3.0, -1.0, 7.0, 0.5, 4.0};
  EXPECT_THAT(BestRows(scores, 3), ElementsAre(0, 2, 4));
  EXPECT_THAT(BestRows(scores, 1), ElementsAre(2));
  EXPECT_THAT(BestRows(scores, 5), ElementsAre(0, 1, 2, 3, 4));
  EXPECT_THAT(BestRows(scores, 9), ElementsAre(0, 1, 2, 3, 4));
  EXPECT_THAT(BestRows({}, 2), ElementsAre());
}

TEST(BestRows, OfEqualScoresTheLaterStays) {
  EXPECT_THAT(BestRows(std::vector<double>(6, 1.0), 2), ElementsAre(4, 5));
}

TEST(BestRows, WhatIsNoNumberGoesFirst) {
  const std::vector<double> scores = {NAN, -1e300, NAN, -INFINITY, 2.0};
  EXPECT_THAT(BestRows(scores, 2), ElementsAre(1, 4));
  EXPECT_THAT(BestRows(std::vector<double>(50, NAN), 1), ElementsAre(49));
}

}  // namespace
}  // namespace subgen::testing
