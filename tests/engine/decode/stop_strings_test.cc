#include "engine/decode/stop_strings.h"

#include <gtest/gtest.h>

namespace subgen {
namespace {

TEST(StopStringsTest, TextBeforeTheStopComesOutAndNothingAfter) {
  StopStrings stops({"END", "\n\n"});
  EXPECT_EQ(stops.Push("one E"), "one ");
  EXPECT_EQ(stops.Push("N"), "");
  EXPECT_EQ(stops.Push("D two"), "");
  EXPECT_TRUE(stops.found());
  EXPECT_EQ(stops.Push("three"), "");
  EXPECT_EQ(stops.Finish(), "");
}

TEST(StopStringsTest, AFalseAlarmComesOutAfterAll) {
  StopStrings stops({"END"});
  EXPECT_EQ(stops.Push("EN"), "");
  EXPECT_EQ(stops.Push("ENx"), "ENENx");
  EXPECT_EQ(stops.Push("E"), "");
  EXPECT_EQ(stops.Finish(), "E");
  EXPECT_FALSE(stops.found());
}

TEST(StopStringsTest, TheEarliestOfSeveralWins) {
  StopStrings stops({"cd", "b"});
  EXPECT_EQ(stops.Push("abcd"), "a");
  EXPECT_TRUE(stops.found());
}

// However the text is cut, what comes out is the text before the stop string.
TEST(StopStringsTest, CutsDoNotMatter) {
  const std::string text = "aaabaabaaab--rest";
  const std::string expected = text.substr(0, text.find("aabaaab"));
  for (size_t first = 0; first <= text.size(); ++first) {
    for (size_t second = first; second <= text.size(); ++second) {
      StopStrings stops({"aabaaab"});
      std::string out = stops.Push(text.substr(0, first));
      out += stops.Push(text.substr(first, second - first));
      out += stops.Push(text.substr(second));
      out += stops.Finish();
      EXPECT_EQ(out, expected) << first << " " << second;
    }
  }
}

TEST(StopStringsTest, WithoutStopsEverythingPasses) {
  StopStrings stops({});
  EXPECT_EQ(stops.Push("text"), "text");
}

}  // namespace
}  // namespace subgen
