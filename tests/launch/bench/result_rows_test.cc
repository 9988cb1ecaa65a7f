#include "launch/bench/result_rows.h"

#include <gtest/gtest.h>

namespace subgen {
namespace {

TEST(ResultRows, Csv) {
  nlohmann::ordered_json row;
  row["name"] = "a \"b\", c";
  row["n"] = 3;
  row["none"] = nullptr;
  row["x"] = 0.5;
  EXPECT_EQ(CsvHeader(row), "name,n,none,x\n");
  EXPECT_EQ(CsvRow(row), "\"a \"\"b\"\", c\",3,,0.5\n");
}

TEST(ResultRows, Markdown) {
  EXPECT_EQ(MarkdownRow({"a|b", "1"}), "| a\\|b | 1 |\n");
  EXPECT_EQ(MarkdownRule(3, 1), "|---|---:|---:|\n");
}

TEST(ResultRows, Formats) {
  EXPECT_EQ(*ParseRowFormatting("csv"), RowFormatting::kCsv);
  EXPECT_FALSE(ParseRowFormatting("xml").ok());
}

}  // namespace
}  // namespace subgen
