#include "launch/evaluation/plots.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/support/model_file.h"

namespace subgen {
namespace {

using testing::HasSubstr;
using testing::Not;

ResultRow Row(const std::string& policy, const std::string& mode, double bytes,
              double value) {
  ResultRow row;
  row.task = "copy";
  row.metric = "perplexity";
  row.policy = policy;
  row.mode = mode;
  row.bytes_per_head = bytes;
  row.estimate = {value, value / 2, value * 2, 8};
  return row;
}

std::vector<ResultRow> SomeRows() {
  return {Row("exact", "exact", 1000, 1.2), Row("h2o", "once", 500, 4),
          Row("h2o", "once", 250, 8), Row("it's", "once", 500, 3),
          Row("h2o", "stream", 500, 5)};
}

TEST(PlotsTest, OnePictureAModeOneLineAPolicy) {
  const std::vector<Plot> plots = MakePlots(SomeRows());
  ASSERT_EQ(plots.size(), 2u);
  EXPECT_EQ(plots[0].name, "copy_perplexity_once");
  EXPECT_EQ(plots[1].name, "copy_perplexity_stream");
  // Ascending in bytes: bytes, value, low, high.
  EXPECT_THAT(plots[0].script, HasSubstr("250 8 4 16\n500 4 2 8\n"));
  EXPECT_THAT(plots[0].script, HasSubstr("title 'it''s'"));
  EXPECT_THAT(plots[0].script, HasSubstr("1.2 with lines"));
  EXPECT_THAT(plots[0].script, HasSubstr("logscale y"));
  EXPECT_THAT(plots[1].script, Not(HasSubstr("it''s")));
}

TEST(PlotsTest, GnuplotDrawsThem) {
  if (std::system("gnuplot --version > /dev/null 2>&1") != 0) {
    GTEST_SKIP() << "gnuplot is not installed";
  }
  const std::string folder = TestPath("a folder");
  const absl::Status status = WritePlots(MakePlots(SomeRows()), folder);
  ASSERT_TRUE(status.ok()) << status;
  std::ifstream file(folder + "/copy_perplexity_once.png", std::ios::binary);
  std::string magic(8, ' ');
  file.read(magic.data(), 8);
  EXPECT_EQ(magic, "\x89PNG\r\n\x1a\n");
}

TEST(PlotsTest, AFolderThatCannotBeWrittenIsNamed) {
  EXPECT_THAT(WritePlots(MakePlots(SomeRows()), "/proc/nowhere").message(),
              HasSubstr("/proc/nowhere"));
}

}  // namespace
}  // namespace subgen
