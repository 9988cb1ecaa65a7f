// Rows of figures become text, for people and for programs.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace subgen {

enum class RowFormatting { kMarkdown, kCsv, kJson };

// Knows "md", "csv" and "json".
absl::StatusOr<RowFormatting> ParseRowFormatting(const std::string& name);

// Formats | a | b | with bars in cells escaped, and the line below a header:
// the first `names` columns stand to the left, the others to the right.
std::string MarkdownRow(const std::vector<std::string>& cells);
std::string MarkdownRule(size_t columns, size_t names);

// Writes one object per row; all have the keys of the first.
std::string CsvHeader(const nlohmann::ordered_json& row);
std::string CsvRow(const nlohmann::ordered_json& row);

}  // namespace subgen
