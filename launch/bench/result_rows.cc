#include "launch/bench/result_rows.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "kernels/base/quoted.h"

namespace subgen {
namespace {

std::string Field(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  return absl::StrCat("\"", absl::StrReplaceAll(text, {{"\"", "\"\""}}), "\"");
}

std::string CsvLine(const std::vector<std::string>& fields) {
  return absl::StrJoin(fields, ",") + "\n";
}

}  // namespace

absl::StatusOr<RowFormatting> ParseRowFormatting(const std::string& name) {
  if (name == "md") return RowFormatting::kMarkdown;
  if (name == "csv") return RowFormatting::kCsv;
  if (name == "json") return RowFormatting::kJson;
  return absl::InvalidArgumentError(
      absl::StrCat("-o ", Quoted(name), ": legal are md, csv and json"));
}

std::string MarkdownRow(const std::vector<std::string>& cells) {
  std::string line = "|";
  for (const std::string& cell : cells) {
    absl::StrAppend(&line, " ", absl::StrReplaceAll(cell, {{"|", "\\|"}}),
                    " |");
  }
  return line + "\n";
}

std::string MarkdownRule(size_t columns, size_t names) {
  std::string line = "|";
  for (size_t i = 0; i < columns; ++i) line += i < names ? "---|" : "---:|";
  return line + "\n";
}

std::string CsvHeader(const nlohmann::ordered_json& row) {
  std::vector<std::string> fields;
  for (const auto& item : row.items()) fields.push_back(Field(item.key()));
  return CsvLine(fields);
}

std::string CsvRow(const nlohmann::ordered_json& row) {
  std::vector<std::string> fields;
  for (const auto& item : row.items()) {
    const auto& value = item.value();
    fields.push_back(Field(value.is_string() ? value.get<std::string>()
                           : value.is_null() ? ""
                                             : value.dump()));
  }
  return CsvLine(fields);
}

}  // namespace subgen
