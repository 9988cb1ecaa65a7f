#include "launch/bench/result_table.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "kernels/cpu/tiles/instruction_sets.h"
#include "launch/bench/samples.h"

namespace subgen {
namespace {

// Counts the columns that text takes on a terminal, if each character takes
// one.
int Columns(absl::string_view utf8) {
  return static_cast<int>(std::count_if(
      utf8.begin(), utf8.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

}  // namespace

std::string ModelSize(const BenchSetting& setting) {
  return absl::StrFormat("%.2f MiB", setting.model_bytes / 1048576.0);
}

void DescribeModel(const Model& model, BenchSetting* setting) {
  std::map<BlockFormat, int64_t> bytes;
  for (const ModelTensor& tensor : model.file.tensors) {
    setting->model_bytes += tensor.data.size();
    bytes[tensor.format] += tensor.data.size();
  }
  BlockFormat commonest = BlockFormat::kF32;
  for (const auto& [format, size] : bytes) {
    if (size > bytes[commonest]) commonest = format;
  }
  const std::string name =
      model.file.config.name.empty()
          ? std::filesystem::path(model.file.path).stem().string()
          : model.file.config.name;
  setting->model = absl::StrCat(name, " ", BlockFormatName(commonest));
}

std::string FillName(const TestResult& row) {
  if (row.depth == 0) return "none";
  return row.synthetic ? "synthetic" : "model";
}

TimeSplit SplitTime(const TestResult& row) {
  const auto median = [&](double LapTimes::*part) {
    std::vector<double> samples;
    for (const LapTimes& lap : row.laps) samples.push_back(lap.*part);
    return samples.empty() ? 0.0 : Median(samples);
  };
  TimeSplit split;
  split.attention = median(&LapTimes::attention);
  split.update = median(&LapTimes::update);
  split.communication = median(&LapTimes::communication);
  split.waiting = median(&LapTimes::waiting);
  split.dense = Median(row.lap_seconds) - split.attention - split.update -
                split.communication - split.waiting;
  return split;
}

std::string CompactRow(const std::vector<std::string>& cells, size_t names,
                       const std::vector<int>& widths) {
  std::string line;
  for (size_t i = 0; i < cells.size(); ++i) {
    const std::string space(std::max(0, widths[i] - Columns(cells[i])), ' ');
    absl::StrAppend(&line, i > 0 ? " " : "", i < names ? cells[i] : space,
                    i < names ? space : cells[i]);
  }
  return line + "\n";
}

std::string ResultTable::AddMarkdown(const TestResult& row, bool first) {
  const std::string line = MarkdownRow(CellsOf(row));
  const std::string header = MarkdownRow(Header());
  if (first) {
    compact_ =
        columns_ > 0 && std::max(Columns(line), Columns(header)) > columns_ + 1;
  }
  if (!compact_) {
    return absl::StrCat(
        first ? header + MarkdownRule(Header().size(), Names()) : "", line);
  }
  return absl::StrCat(
      first ? absl::StrCat(setting_.model, ", ", ModelSize(setting_),
                           ", backend ", setting_.backend, "\n\n",
                           CompactHeader())
            : "",
      CompactLine(row));
}

std::string ResultTable::Add(const TestResult& row) {
  const bool first = rows_++ == 0;
  if (format_ == RowFormatting::kMarkdown) return AddMarkdown(row, first);
  nlohmann::ordered_json object = Object(row);
  if (format_ == RowFormatting::kCsv) {
    return absl::StrCat(first ? CsvHeader(object) : "", CsvRow(object));
  }
  object["samples_seconds"] = row.seconds;
  all_.push_back(std::move(object));
  return "";
}

std::string ResultTable::End() const {
  if (format_ == RowFormatting::kJson) {
    return all_.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) +
           "\n";
  }
  if (format_ == RowFormatting::kCsv) return "";
  return absl::StrFormat(
      "\nranks: %d, threads of each: %d, read bandwidth of all at once: "
      "%.2f GB/s%s\n%s",
      setting_.ranks, setting_.threads, setting_.read_bandwidth / 1e9,
      setting_.backend == "cpu"
          ? absl::StrCat("\ninstruction set: ", cpu::InstructionSetInUse().name)
          : "",
      compact_ ? "every column: -o json, -o csv, or into a file\n" : "");
}

}  // namespace subgen
