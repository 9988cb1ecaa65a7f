#include "launch/bench/batch_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace subgen {
namespace {

using testing::HasSubstr;

// The test has 4 sequences at depth 1,000: 4 x 30 tokens of prompts in half a
// second, 4 x 10 generated in a fifth, in the median of three repetitions.
TestResult Batch() {
  TestResult row;
  row.policy = "exact bf16";
  row.test = {30, 10, 4};
  row.depth = 1000;
  row.seconds = {1.0, 0.5, 0.7};
  row.prompt_seconds = {0.6, 0.4, 0.5};
  row.lap_seconds = row.seconds;
  row.laps = {{0.3, 0.1, 0.0, 0.0}, {0.1, 0.0, 0, 0}, {0.2, 0.05, 0, 0}};
  row.cache_bytes = 1234;
  return row;
}

TEST(BatchTable, ByHand) {
  EXPECT_EQ(Batch().Test(), "b4 pp30+tg10 @ d1000");
  const BatchFigures figures = FiguresOf(Batch());
  EXPECT_EQ(figures.cached, 4 * (1000 + 30 + 10));
  EXPECT_DOUBLE_EQ(figures.prompt_seconds, 0.5);
  EXPECT_DOUBLE_EQ(figures.generation_seconds, 0.7 - 0.5);
  EXPECT_DOUBLE_EQ(figures.prompt_rate, 4 * 30 / 0.5);
  EXPECT_DOUBLE_EQ(figures.generation_rate, 4 * 10 / (0.7 - 0.5));
  EXPECT_DOUBLE_EQ(figures.rate, 4 * (30 + 10) / 0.7);
}

TEST(BatchTable, OfTwoRepetitionsTheFaster) {
  TestResult row = Batch();
  row.seconds = {0.9, 0.8};
  row.prompt_seconds = {0.1, 0.2};
  EXPECT_DOUBLE_EQ(FiguresOf(row).seconds, 0.8);
  EXPECT_DOUBLE_EQ(FiguresOf(row).prompt_seconds, 0.2);
}

TEST(BatchTable, MarkdownHasTheColumnsOfLlamaBatchedBench) {
  BatchTable table({}, RowFormatting::kMarkdown);
  EXPECT_EQ(table.Add(Batch()),
            "| policy | depth | PP | TG | B | N_KV | T_PP s | S_PP t/s | "
            "T_TG s | S_TG t/s | T s | S t/s |\n"
            "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n"
            "| exact bf16 | 1000 | 30 | 10 | 4 | 4160 | 0.500 | 240.00 | "
            "0.200 | 200.00 | 0.700 | 228.57 |\n");
}

TEST(BatchTable, LeavesOutWhatIsNotMeasured) {
  TestResult row = Batch();
  row.test.prompt = 0;
  row.prompt_seconds = {0.0, 0.0, 0.0};
  row.synthetic = true;
  BatchTable generation({}, RowFormatting::kMarkdown);
  EXPECT_THAT(generation.Add(row),
              HasSubstr("| 1000 synthetic | 0 | 10 | 4 | 4040 |  |  | 0.700 | "
                        "57.14 | 0.700 | 57.14 |"));
  row = Batch();
  row.test.generated = 0;
  row.prompt_seconds = row.seconds;
  BatchTable prompts({}, RowFormatting::kMarkdown);
  EXPECT_THAT(prompts.Add(row), HasSubstr("| 0.700 | 171.43 |  |  | 0.700 |"));
}

TEST(BatchTable, IsCompactWhereItWouldWrap) {
  BenchSetting setting;
  setting.model = "toy";
  BatchTable table(setting, RowFormatting::kMarkdown, 80);
  const std::string text = table.Add(Batch());
  EXPECT_THAT(text, HasSubstr("policy            depth    PP    TG    B "
                              " S_PP t/s  S_TG t/s     S t/s\n"
                              "exact bf16         1000    30    10    4 "
                              "   240.00    200.00    228.57\n"));
  EXPECT_THAT(table.End(), HasSubstr("every column: -o json"));
}

TEST(BatchTable, JsonAndCsvHoldTheSame) {
  BatchTable json({}, RowFormatting::kJson);
  EXPECT_EQ(json.Add(Batch()), "");
  const auto all = nlohmann::ordered_json::parse(json.End());
  ASSERT_EQ(all.size(), 1u);
  const auto& row = all[0];
  EXPECT_EQ(row["pp"], 30);
  EXPECT_EQ(row["tg"], 10);
  EXPECT_EQ(row["pl"], 4);
  EXPECT_EQ(row["depth"], 1000);
  EXPECT_EQ(row["n_kv"], 4160);
  EXPECT_DOUBLE_EQ(row["t"], 0.7);
  EXPECT_DOUBLE_EQ(row["speed_tg"], FiguresOf(Batch()).generation_rate);
  EXPECT_DOUBLE_EQ(row["attention_seconds"], 0.2);
  EXPECT_DOUBLE_EQ(row["dense_seconds"], 0.7 - 0.2 - 0.05);
  EXPECT_EQ(row["samples_seconds"].size(), 3u);
  BatchTable csv({}, RowFormatting::kCsv);
  const std::string lines = csv.Add(Batch());
  EXPECT_THAT(lines, HasSubstr(",pp,tg,pl,n_kv,t_pp,speed_pp,t_tg,speed_tg,t,"
                               "speed,"));
  EXPECT_EQ(std::count(lines.begin(), lines.end(), ','),
            2 * (static_cast<int>(row.size()) - 2));
}

}  // namespace
}  // namespace subgen
