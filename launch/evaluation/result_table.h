// Results of an evaluation are rows, one per figure, and become text for people
// and programs.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "launch/evaluation/intervals.h"

namespace subgen {

struct ResultRow {
  std::string task;    // copy, perplexity, passkey, lines, attention
  std::string metric;  // what `estimate` is, as "perplexity"
  std::string policy;  // its name in the plan
  std::string mode;    // once, stream; exact where nothing is compressed
  double budget_fraction = 1.0;
  double bytes_per_head = 0.0;  // held per KV head of a layer, on all ranks
  Estimate estimate;
  // These belong to figures about one query head; such rows are not shown in
  // tables.
  int layer = -1, head = -1;
};

enum class TableFormat { kTerminal, kMarkdown, kCsv, kJson };

// Chooses the format by the end of a file's name: .md, .csv, .json.
absl::StatusOr<TableFormat> TableFormatOf(absl::string_view path);

// Tables are grouped by task and metric. Csv and json hold every row; json is a
// list of objects, a NaN is null there and nothing in csv.
std::string FormatRows(const std::vector<ResultRow>& rows, TableFormat format);

}  // namespace subgen
