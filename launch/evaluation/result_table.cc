#include "launch/evaluation/result_table.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"

namespace subgen {
namespace {

using Cells = std::vector<std::string>;

std::string Number(double value) {
  return std::isnan(value) ? "" : absl::StrFormat("%.4g", value);
}

Cells TableCells(const ResultRow& row) {
  const Estimate& estimate = row.estimate;
  const std::string interval =
      std::isnan(estimate.low)
          ? "-"
          : absl::StrCat(Number(estimate.low), " to ", Number(estimate.high));
  return {row.policy,
          row.mode,
          absl::StrFormat("%.4g %%", 100.0 * row.budget_fraction),
          absl::StrFormat("%.0f", row.bytes_per_head),
          Number(estimate.value),
          interval,
          absl::StrCat(estimate.n)};
}

std::string TerminalLine(const Cells& cells, const std::vector<size_t>& width) {
  std::string line;
  for (size_t i = 0; i < cells.size(); ++i) {
    const std::string space(width[i] - cells[i].size(), ' ');
    // Names stand to the left, numbers to the right.
    absl::StrAppend(&line, i < 2 ? cells[i] + space : space + cells[i],
                    i + 1 < cells.size() ? "  " : "\n");
  }
  return line;
}

std::string TerminalTable(const std::vector<Cells>& lines) {
  std::vector<size_t> width(lines[0].size());
  for (const Cells& cells : lines) {
    for (size_t i = 0; i < cells.size(); ++i) {
      width[i] = std::max(width[i], cells[i].size());
    }
  }
  std::string text;
  for (const Cells& cells : lines) text += TerminalLine(cells, width);
  return text;
}

std::string MarkdownTable(const std::vector<Cells>& lines) {
  std::string text;
  for (size_t i = 0; i < lines.size(); ++i) {
    Cells cells = lines[i];
    for (std::string& cell : cells) {
      cell = absl::StrReplaceAll(cell, {{"|", "\\|"}});
    }
    absl::StrAppend(&text, "| ", absl::StrJoin(cells, " | "), " |\n");
    if (i == 0) text += "|---|---|---:|---:|---:|---:|---:|\n";
  }
  return text;
}

// Writes one table for each task and metric, in the order in which they come
// up.
std::string Tables(const std::vector<ResultRow>& rows, TableFormat format) {
  std::vector<std::string> titles;
  std::vector<std::vector<Cells>> tables;
  for (const ResultRow& row : rows) {
    if (row.layer >= 0) continue;
    const std::string title = absl::StrCat(row.task, ": ", row.metric);
    auto found = std::find(titles.begin(), titles.end(), title);
    if (found == titles.end()) {
      tables.push_back({{"policy", "mode", "budget", "bytes/head", "value",
                         "95 % interval", "n"}});
      found = titles.insert(titles.end(), title);
    }
    tables[found - titles.begin()].push_back(TableCells(row));
  }
  const bool markdown = format == TableFormat::kMarkdown;
  std::string text;
  for (size_t i = 0; i < titles.size(); ++i) {
    absl::StrAppend(
        &text, i > 0 ? "\n" : "", markdown ? "### " : "", titles[i],
        markdown ? "\n\n" : "\n",
        markdown ? MarkdownTable(tables[i]) : TerminalTable(tables[i]));
  }
  return text;
}

std::string CsvField(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  return absl::StrCat("\"", absl::StrReplaceAll(text, {{"\"", "\"\""}}), "\"");
}

std::string Csv(const std::vector<ResultRow>& rows) {
  std::string text =
      "task,metric,policy,mode,budget_fraction,bytes_per_head,value,low,high,"
      "n,layer,head\n";
  const auto exact = [](double value) {
    return std::isnan(value) ? "" : absl::StrFormat("%.9g", value);
  };
  const auto index = [](int i) { return i < 0 ? "" : absl::StrCat(i); };
  for (const ResultRow& row : rows) {
    absl::StrAppend(
        &text,
        absl::StrJoin(
            {CsvField(row.task), CsvField(row.metric), CsvField(row.policy),
             CsvField(row.mode), exact(row.budget_fraction),
             exact(row.bytes_per_head), exact(row.estimate.value),
             exact(row.estimate.low), exact(row.estimate.high),
             absl::StrCat(row.estimate.n), index(row.layer), index(row.head)},
            ","),
        "\n");
  }
  return text;
}

std::string Json(const std::vector<ResultRow>& rows) {
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  for (const ResultRow& row : rows) {
    nlohmann::ordered_json object;
    object["task"] = row.task;
    object["metric"] = row.metric;
    object["policy"] = row.policy;
    object["mode"] = row.mode;
    object["budget_fraction"] = row.budget_fraction;
    object["bytes_per_head"] = row.bytes_per_head;
    object["value"] = row.estimate.value;  // the library writes NaN as null
    object["low"] = row.estimate.low;
    object["high"] = row.estimate.high;
    object["n"] = row.estimate.n;
    if (row.layer >= 0) {
      object["layer"] = row.layer;
      object["head"] = row.head;
    }
    all.push_back(std::move(object));
  }
  return all.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) +
         "\n";
}

}  // namespace

absl::StatusOr<TableFormat> TableFormatOf(absl::string_view path) {
  if (absl::EndsWith(path, ".md")) return TableFormat::kMarkdown;
  if (absl::EndsWith(path, ".csv")) return TableFormat::kCsv;
  if (absl::EndsWith(path, ".json")) return TableFormat::kJson;
  return absl::InvalidArgumentError(absl::StrCat(
      "--output ", path, ": the name must end in .md, .csv or .json"));
}

std::string FormatRows(const std::vector<ResultRow>& rows, TableFormat format) {
  if (format == TableFormat::kCsv) return Csv(rows);
  if (format == TableFormat::kJson) return Json(rows);
  return Tables(rows, format);
}

}  // namespace subgen
