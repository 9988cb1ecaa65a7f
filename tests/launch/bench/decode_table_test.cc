#include "launch/bench/decode_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace subgen {
namespace {

using testing::HasSubstr;

BenchSetting Setting() {
  BenchSetting setting;
  setting.model = "toy | Q8_0";
  setting.model_bytes = 3 << 19;
  setting.backend = "cpu";
  setting.ranks = 2;
  setting.read_bandwidth = 4e9;
  return setting;
}

TestResult Generation() {
  TestResult row;
  row.policy = "subgen 1024 bf16";
  row.test.generated = 10;
  row.depth = 4096;
  row.synthetic = true;
  row.seconds = {0.5, 0.1, 0.2};  // 20, 100, 50 tokens a second
  row.longest_step_seconds = 0.0515;
  row.lap_seconds = row.seconds;
  row.laps = {
      {0.05, 0.01, 0.02, 0.04}, {0.02, 0.0, 0, 0}, {0.07, 0.02, 0.01, 0}};
  row.weight_bytes = 30000000;
  row.cache_bytes_read = 10000000;
  return row;
}

TEST(DecodeTable, ByHand) {
  const TestResult row = Generation();
  EXPECT_EQ(row.Test(), "tg10 @ d4096 synthetic");
  EXPECT_DOUBLE_EQ(BytesPerSecond(row), 2e9);  // 40 MB at the median, 50
  const TimeSplit split = SplitTime(row);
  EXPECT_DOUBLE_EQ(split.attention, 0.05);
  EXPECT_DOUBLE_EQ(split.update, 0.01);
  EXPECT_DOUBLE_EQ(split.communication, 0.01);
  EXPECT_DOUBLE_EQ(split.waiting, 0.0);
  EXPECT_DOUBLE_EQ(split.dense, 0.2 - 0.05 - 0.01 - 0.01);
}

// Where parts were timed in a repetition of their own, the split is of that
// one.
TEST(DecodeTable, PartsMayHaveARepetitionOfTheirOwn) {
  TestResult row = Generation();
  row.laps = {{0.1, 0.04, 0.0, 0.0}};
  row.lap_seconds = {0.4};
  EXPECT_DOUBLE_EQ(SplitTime(row).dense, 0.4 - 0.1 - 0.04);
  DecodeTable table(Setting(), RowFormatting::kMarkdown);
  EXPECT_THAT(table.Add(row), HasSubstr("| 65 % | 25 % | 10 % | 0 % | 0 % |"));
}

TEST(DecodeTable, Markdown) {
  DecodeTable table(Setting(), RowFormatting::kMarkdown);
  // The mean is 170 / 3; the squares are (36.7^2 + 43.3^2 + 6.7^2) / 2 =
  // 1633.3.
  const std::string first = table.Add(Generation());
  EXPECT_THAT(first,
              HasSubstr("| model | size | backend | ranks | policy | "
                        "test | t/s | longest step | MB/token | GB/s |"));
  const std::string row =
      "| toy \\| Q8_0 | 1.50 MiB | cpu | 2 | subgen 1024 bf16 | "
      "tg10 @ d4096 synthetic | 56.67 ± 40.41 | 51.50 ms | 40.00 | 2.00 | "
      "50 % | 65 % | 25 % | 5 % | 5 % | 0 % |\n";
  EXPECT_THAT(first, HasSubstr(row));
  EXPECT_EQ(table.Add(Generation()), row);
  EXPECT_THAT(table.End(), HasSubstr("4.00 GB/s"));
}

int Columns(const std::string& line) {
  int columns = 0;
  for (const char c : line) columns += (c & 0xc0) != 0x80;
  return columns;
}

TEST(DecodeTable, IsCompactWhereItWouldWrap) {
  TestResult row = Generation();
  row.cache_bytes = 12345678;
  row.depth = 1048576;
  DecodeTable table(Setting(), RowFormatting::kMarkdown, 90);
  const std::string first = table.Add(row);
  EXPECT_EQ(first,
            "toy | Q8_0, 1.50 MiB, backend cpu\n\n"
            "test                       policy                  tokens/s "
            "longest ms cache MB\n"
            "tg10 @ d1048576 synthetic  subgen 1024 bf16   56.67 ± 40.41 "
            "     51.50    12.35\n");
  for (const std::string& line :
       {first.substr(first.find("test")), table.Add(row)}) {
    EXPECT_LE(Columns(line.substr(0, line.find('\n'))), 79);
  }
  EXPECT_THAT(table.End(), HasSubstr("every column: -o json"));
}

TEST(DecodeTable, IsWholeWhereThereIsRoom) {
  DecodeTable unbounded(Setting(), RowFormatting::kMarkdown);
  const std::string whole = unbounded.Add(Generation());
  int widest = 0;
  for (size_t at = 0; at < whole.size(); at = whole.find('\n', at) + 1) {
    widest =
        std::max(widest, Columns(whole.substr(at, whole.find('\n', at) - at)));
  }
  DecodeTable fits(Setting(), RowFormatting::kMarkdown, widest);
  EXPECT_EQ(fits.Add(Generation()), whole);
  DecodeTable narrow(Setting(), RowFormatting::kMarkdown, widest - 1);
  EXPECT_THAT(narrow.Add(Generation()), testing::Not(HasSubstr("| policy |")));
  DecodeTable csv(Setting(), RowFormatting::kCsv, 10);
  EXPECT_THAT(csv.Add(Generation()), HasSubstr("bandwidth_share"));
}

TEST(DecodeTable, PromptsHaveNoBytes) {
  TestResult row = Generation();
  row.test = {10, 0};
  row.depth = 0;
  row.synthetic = false;
  EXPECT_EQ(row.Test(), "pp10");
  DecodeTable table(Setting(), RowFormatting::kMarkdown);
  EXPECT_THAT(table.Add(row), HasSubstr("|  |  |  |"));
}

TEST(DecodeTable, JsonAndCsvHoldTheSame) {
  DecodeTable json(Setting(), RowFormatting::kJson);
  EXPECT_EQ(json.Add(Generation()), "");
  const auto all = nlohmann::ordered_json::parse(json.End());
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0]["n_gen"], 10);
  EXPECT_EQ(all[0]["n_depth"], 4096);
  EXPECT_EQ(all[0]["fill"], "synthetic");
  EXPECT_DOUBLE_EQ(all[0]["median_ts"], 50.0);
  EXPECT_DOUBLE_EQ(all[0]["longest_step_seconds"], 0.0515);
  EXPECT_DOUBLE_EQ(all[0]["attention_seconds_per_token"], 0.005);
  EXPECT_DOUBLE_EQ(all[0]["bandwidth_share"], 0.5);
  EXPECT_EQ(all[0]["samples_seconds"].size(), 3u);
  DecodeTable csv(Setting(), RowFormatting::kCsv);
  const std::string lines = csv.Add(Generation());
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 2);
  EXPECT_EQ(std::count(lines.begin(), lines.end(), ','),
            2 * (static_cast<int>(all[0].size()) - 2));
  EXPECT_EQ(csv.End(), "");
}

}  // namespace
}  // namespace subgen
