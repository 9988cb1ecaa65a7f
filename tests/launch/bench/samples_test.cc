#include "launch/bench/samples.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace subgen {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Samples, ByHand) {
  const std::vector<double> samples = {4.0, 1.0, 7.0, 2.0};
  EXPECT_DOUBLE_EQ(Mean(samples), 3.5);
  EXPECT_DOUBLE_EQ(Median(samples), 3.0);
  // The variance is (0.5^2 + 2.5^2 + 3.5^2 + 1.5^2) / 3 = 7.
  EXPECT_DOUBLE_EQ(StandardDeviation(samples), std::sqrt(7.0));
  EXPECT_DOUBLE_EQ(Median(std::vector<double>{9.0, 1.0, 2.0}), 2.0);
  EXPECT_DOUBLE_EQ(StandardDeviation(std::vector<double>{5.0}), 0.0);
}

TEST(ParseCounts, ReadsLists) {
  EXPECT_THAT(*ParseCounts("-d", "0,4096,1048576", 0, 1 << 30),
              ElementsAre(0, 4096, 1048576));
}

TEST(ParseCounts, NamesFlagAndValue) {
  for (const std::string bad : {"", "1,", ",1", "1,x", "-1", "1.5", "1e3",
                                "0x10", "31", "99999999999999999999"}) {
    const auto counts = ParseCounts("-d", bad, 0, 30);
    ASSERT_FALSE(counts.ok()) << bad;
    EXPECT_THAT(std::string(counts.status().message()),
                testing::AllOf(HasSubstr("-d '" + bad), HasSubstr("0 to 30")));
  }
}

TEST(ParseNames, RefusesEmptyOnes) {
  EXPECT_THAT(*ParseNames("--policies", "exact,subgen/q8"),
              ElementsAre("exact", "subgen/q8"));
  EXPECT_FALSE(ParseNames("--policies", "exact,,subgen").ok());
  EXPECT_FALSE(ParseNames("--policies", "").ok());
}

}  // namespace
}  // namespace subgen
