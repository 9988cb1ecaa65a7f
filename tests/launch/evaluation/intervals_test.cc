#include "launch/evaluation/intervals.h"

#include <gtest/gtest.h>

#include <cmath>

namespace subgen {
namespace {

// The quantiles are from published tables of Student's t, two-sided 95 %.
TEST(IntervalsTest, StudentQuantiles) {
  EXPECT_NEAR(StudentQuantile(1), 12.706, 5e-4);
  EXPECT_NEAR(StudentQuantile(9), 2.262, 5e-4);
  EXPECT_NEAR(StudentQuantile(10), 2.228, 5e-4);
  EXPECT_NEAR(StudentQuantile(15), 2.131, 5e-4);
  EXPECT_NEAR(StudentQuantile(30), 2.042, 5e-4);
  EXPECT_NEAR(StudentQuantile(100), 1.984, 5e-4);
  EXPECT_NEAR(StudentQuantile(1000000), 1.960, 5e-4);
}

TEST(IntervalsTest, MeanByHand) {
  // The mean is 2, the standard deviation 1, the quantile of 2 degrees 4.303.
  const Estimate estimate = MeanEstimate(std::vector<double>{1.0, 2.0, 3.0});
  EXPECT_DOUBLE_EQ(estimate.value, 2.0);
  EXPECT_NEAR(estimate.high - estimate.value, 4.303 / std::sqrt(3.0), 1e-9);
  EXPECT_NEAR(estimate.value - estimate.low, 4.303 / std::sqrt(3.0), 1e-9);
  EXPECT_EQ(estimate.n, 3);
}

TEST(IntervalsTest, OneSampleTellsNoInterval) {
  const Estimate estimate = MeanEstimate(std::vector<double>{5.0});
  EXPECT_EQ(estimate.value, 5.0);
  EXPECT_TRUE(std::isnan(estimate.low) && std::isnan(estimate.high));
  EXPECT_EQ(estimate.n, 1);
}

TEST(IntervalsTest, PerplexityIsTheExponentialOfTheMean) {
  const std::vector<double> logs = {std::log(2.0), std::log(8.0)};
  const Estimate estimate = GeometricEstimate(logs);
  EXPECT_NEAR(estimate.value, 4.0, 1e-12);
  // The interval is log 4 +- 12.706 * (standard deviation log 2 * sqrt 2) /
  // sqrt 2.
  EXPECT_NEAR(std::log(estimate.high / 4.0), 12.706 * std::log(2.0), 1e-9);
  EXPECT_NEAR(std::log(4.0 / estimate.low), 12.706 * std::log(2.0), 1e-9);
}

// The cases are of Newcombe (1998), Statistics in Medicine 17, table I: 81 of
// 263, 15 of 148, 0 of 20, 1 of 29.
TEST(IntervalsTest, WilsonAsPublished) {
  const auto expect = [](int64_t right, int64_t asked, double low,
                         double high) {
    const Estimate estimate = ShareEstimate(right, asked);
    EXPECT_NEAR(estimate.low, low, 5e-5) << right;
    EXPECT_NEAR(estimate.high, high, 5e-5) << right;
    EXPECT_EQ(estimate.n, asked);
  };
  expect(81, 263, 0.2553, 0.3662);
  expect(15, 148, 0.0624, 0.1605);
  expect(0, 20, 0.0, 0.1611);
  expect(1, 29, 0.0061, 0.1718);
  EXPECT_EQ(ShareEstimate(7, 7).high, 1.0);
}

}  // namespace
}  // namespace subgen
