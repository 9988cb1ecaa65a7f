#include "launch/evaluation/plots.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
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
          Row("h2o", "once", 250, 8),       Row("ours", "once", 500, 2),
          Row("it's", "once", 500, 3),      Row("h2o", "stream", 500, 5)};
}

PlotSubject Subject() { return {"model", "GPL-3 and 2 more", {"ours"}}; }

std::vector<Plot> SomePlots() { return MakePlots(SomeRows(), Subject()); }

// Returns the line of a script that contains the words.
std::string LineWith(const std::string& script, const std::string& words) {
  for (const absl::string_view line : absl::StrSplit(script, '\n')) {
    if (absl::StrContains(line, words)) return std::string(line);
  }
  return "";
}

TEST(PlotsTest, OnePictureAModeOneLineAPolicy) {
  const std::vector<Plot> plots = SomePlots();
  ASSERT_EQ(plots.size(), 2u);
  EXPECT_EQ(plots[0].name, "copy_perplexity_once");
  EXPECT_EQ(plots[1].name, "copy_perplexity_stream");
  // Rows ascend in bytes, and hold bytes, value, low, high.
  EXPECT_THAT(plots[0].script, HasSubstr("250 8 4 16\n500 4 2 8\n"));
  EXPECT_THAT(plots[0].script, HasSubstr("title 'it''s'"));
  EXPECT_THAT(plots[1].script, Not(HasSubstr("it''s")));
}

TEST(PlotsTest, AxesAndTitleSayWhatIsDrawn) {
  const std::string script = SomePlots()[0].script;
  EXPECT_THAT(script, HasSubstr("set xlabel 'memory per KV head (% of the 1 kB "
                                "of exact)'"));
  EXPECT_THAT(script, HasSubstr("set ylabel 'perplexity (lower is better)'"));
  EXPECT_THAT(script, HasSubstr("logscale y"));
  EXPECT_EQ(LineWith(script, "set title"),
            "set title 'Task copy: perplexity; prompt kept whole until it "
            "ends' . \"\\n\" . 'model, GPL-3 and 2 more, n = 8, bars: 95 %'");
  std::vector<ResultRow> rows = SomeRows();
  rows.erase(rows.begin());
  EXPECT_THAT(MakePlots(rows, Subject())[0].script,
              HasSubstr("set xlabel 'memory per KV head (kB)'"));
}

TEST(PlotsTest, ExactIsALineAcrossTheFrame) {
  const std::string script = SomePlots()[0].script;
  EXPECT_THAT(script, HasSubstr("set arrow from graph 0, first 1.2 to graph 1, "
                                "first 1.2 nohead"));
  EXPECT_THAT(script, HasSubstr("set label 'exact: 1.2'"));
}

TEST(PlotsTest, SubGenIsSetApart) {
  const std::string script = SomePlots()[0].script;
  const std::string ours = LineWith(script, "title 'ours'");
  EXPECT_THAT(ours, HasSubstr("linewidth 4"));
  EXPECT_THAT(ours, HasSubstr("#D55E00"));
  for (const char* other : {"title 'h2o'", "title 'it''s'"}) {
    EXPECT_THAT(LineWith(script, other), HasSubstr("linewidth 1.5"));
    EXPECT_THAT(LineWith(script, other), Not(HasSubstr("#D55E00")));
  }
  // Its line lies on top of the others.
  EXPECT_GT(script.find("title 'ours'"), script.find("title 'it''s'"));
  EXPECT_NE(LineWith(script, "title 'h2o'"), LineWith(script, "title 'it''s'"));
}

TEST(PlotsTest, IntervalsStayWithinWhatIsPossible) {
  std::vector<ResultRow> rows = {Row("a", "once", 500, 3)};
  rows[0].estimate = {3, 0.0045, 290000, 3};
  std::string script = MakePlots(rows, Subject())[0].script;
  EXPECT_THAT(script, HasSubstr("500 3 1 290000\n"));
  // They do not flatten what is there to be seen.
  EXPECT_THAT(script, HasSubstr("set yrange [1.25:7.2]"));
  rows[0].metric = "share of tokens with p > 0.5";
  rows[0].estimate = {0.5, -0.21, 1.23, 3};
  script = MakePlots(rows, Subject())[0].script;
  EXPECT_THAT(script, HasSubstr("500 0.5 0 1\n"));
  EXPECT_THAT(script, HasSubstr("set yrange [0:1.05]"));
  EXPECT_THAT(script, Not(HasSubstr("logscale")));
}

TEST(PlotsTest, FewSamplesHaveNoInterval) {
  std::vector<ResultRow> rows = {Row("a", "once", 500, 3)};
  rows[0].estimate.n = 2;
  const std::string script = MakePlots(rows, Subject())[0].script;
  EXPECT_THAT(script, HasSubstr("500 3 NaN NaN\n"));
  EXPECT_THAT(script, Not(HasSubstr("95 %\'")));
}

TEST(PlotsTest, BarsOfPoliciesDoNotCoverEachOther) {
  const std::string script = SomePlots()[0].script;
  std::set<std::string> shifts;
  for (const char* data : {"$data0 using", "$data1 using", "$data2 using"}) {
    const std::string line = LineWith(script, data);
    shifts.insert(line.substr(line.find('('), line.find(')') - line.find('(')));
  }
  EXPECT_EQ(shifts.size(), 3u);
}

// Names come from files that others write.
TEST(PlotsTest, NamesRunNothing) {
  std::vector<ResultRow> rows = {Row("`touch x`\n'); system('y", "once", 5, 3)};
  const PlotSubject subject = {"`id`", "\\n'", {}};
  const std::string script = MakePlots(rows, subject)[0].script;
  EXPECT_THAT(script, HasSubstr("title '`touch x` ''); system(''y'"));
  EXPECT_THAT(script, HasSubstr("'`id`, \\n''"));
}

TEST(PlotsTest, GnuplotDrawsThem) {
  if (std::system("gnuplot --version > /dev/null 2>&1") != 0) {
    GTEST_SKIP() << "gnuplot is not installed";
  }
  const std::string folder = TestPath("a folder");
  std::vector<ResultRow> rows = SomeRows();
  rows.push_back(Row("`odd`", "once", 0, 0));
  rows.back().metric = "relative error";
  rows.back().estimate = {0, 0, 0, 9};
  const absl::Status status = WritePlots(MakePlots(rows, Subject()), folder);
  ASSERT_TRUE(status.ok()) << status;
  for (const char* name :
       {"/copy_perplexity_once.png", "/copy_relative_error_once.png"}) {
    std::ifstream file(folder + name, std::ios::binary);
    std::string magic(8, ' ');
    file.read(magic.data(), 8);
    EXPECT_EQ(magic, "\x89PNG\r\n\x1a\n") << name;
  }
}

TEST(PlotsTest, AFolderThatCannotBeWrittenIsNamed) {
  EXPECT_THAT(WritePlots(SomePlots(), "/proc/nowhere").message(),
              HasSubstr("/proc/nowhere"));
}

}  // namespace
}  // namespace subgen
