#include "launch/evaluation/result_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace subgen {
namespace {

using testing::HasSubstr;
using testing::Not;

std::vector<ResultRow> SomeRows() {
  ResultRow exact;
  exact.task = "copy";
  exact.metric = "perplexity";
  exact.policy = "exact";
  exact.mode = "exact";
  exact.bytes_per_head = 1000;
  exact.estimate = {1.25, 1.0, 1.5, 8};
  ResultRow h2o = exact;
  h2o.policy = "h2o | \"greedy\", a";
  h2o.mode = "once";
  h2o.budget_fraction = 0.125;
  h2o.bytes_per_head = 140.4;
  h2o.estimate = {11.5};
  h2o.estimate.n = 1;
  ResultRow head = h2o;
  head.task = "attention";
  head.layer = 3;
  head.head = 2;
  return {exact, h2o, head};
}

TEST(ResultTableTest, Csv) {
  EXPECT_EQ(FormatRows(SomeRows(), TableFormat::kCsv),
            "task,metric,policy,mode,budget_fraction,bytes_per_head,value,low,"
            "high,n,layer,head\n"
            "copy,perplexity,exact,exact,1,1000,1.25,1,1.5,8,,\n"
            "copy,perplexity,\"h2o | \"\"greedy\"\", a\",once,0.125,140.4,11.5,"
            ",,1,,\n"
            "attention,perplexity,\"h2o | \"\"greedy\"\", a\",once,0.125,140.4,"
            "11.5,,,1,3,2\n");
}

TEST(ResultTableTest, JsonHoldsEveryField) {
  const auto json =
      nlohmann::json::parse(FormatRows(SomeRows(), TableFormat::kJson));
  ASSERT_EQ(json.size(), 3u);
  EXPECT_EQ(json[0], (nlohmann::json{{"task", "copy"},
                                     {"metric", "perplexity"},
                                     {"policy", "exact"},
                                     {"mode", "exact"},
                                     {"budget_fraction", 1.0},
                                     {"bytes_per_head", 1000.0},
                                     {"value", 1.25},
                                     {"low", 1.0},
                                     {"high", 1.5},
                                     {"n", 8}}));
  EXPECT_TRUE(json[1]["low"].is_null());
  EXPECT_EQ(json[2]["layer"], 3);
  EXPECT_EQ(json[2]["head"], 2);
}

TEST(ResultTableTest, MarkdownEscapesAndLeavesHeadsOut) {
  EXPECT_EQ(FormatRows(SomeRows(), TableFormat::kMarkdown),
            "### copy: perplexity\n\n"
            "| policy | mode | budget | bytes/head | value | 95 % interval | n "
            "|\n"
            "|---|---|---:|---:|---:|---:|---:|\n"
            "| exact | exact | 100 % | 1000 | 1.25 | 1 to 1.5 | 8 |\n"
            "| h2o \\| \"greedy\", a | once | 12.5 % | 140 | 11.5 | - | 1 |\n");
}

TEST(ResultTableTest, TerminalColumnsLineUp) {
  const std::string text = FormatRows(SomeRows(), TableFormat::kTerminal);
  EXPECT_THAT(text, HasSubstr("copy: perplexity\n"));
  EXPECT_THAT(text, Not(HasSubstr("attention")));
  std::istringstream lines(text);
  std::string line;
  std::getline(lines, line);
  std::set<size_t> lengths;
  while (std::getline(lines, line)) lengths.insert(line.size());
  EXPECT_EQ(lengths.size(), 1u) << text;
}

TEST(ResultTableTest, FormatFollowsFromTheName) {
  EXPECT_EQ(*TableFormatOf("a/b.md"), TableFormat::kMarkdown);
  EXPECT_EQ(*TableFormatOf("b.csv"), TableFormat::kCsv);
  EXPECT_EQ(*TableFormatOf("b.json"), TableFormat::kJson);
  EXPECT_THAT(TableFormatOf("b.txt").status().message(), HasSubstr("b.txt"));
}

}  // namespace
}  // namespace subgen
