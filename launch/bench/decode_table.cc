#include "launch/bench/decode_table.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "launch/bench/samples.h"

namespace subgen {
namespace {

// Names, then figures.
constexpr size_t kNames = 6;
const std::vector<std::string>& Header() {
  static const auto& header = *new std::vector<std::string>{"model",
                                                            "size",
                                                            "backend",
                                                            "ranks",
                                                            "policy",
                                                            "test",
                                                            "t/s",
                                                            "longest step",
                                                            "MB/token",
                                                            "GB/s",
                                                            "of read bandwidth",
                                                            "dense",
                                                            "attention",
                                                            "cache update",
                                                            "communication",
                                                            "waiting"};
  return header;
}

std::vector<double> Rates(const TestResult& row) {
  std::vector<double> rates;
  for (const double seconds : row.seconds)
    rates.push_back(row.tokens / seconds);
  return rates;
}

std::string Percent(double share) {
  return absl::StrFormat("%.0f %%", 100.0 * share);
}

// Columns that text takes on a terminal, if each character takes one.
int Columns(absl::string_view utf8) {
  return static_cast<int>(std::count_if(
      utf8.begin(), utf8.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

// Names to the left, figures to the right.
std::string CompactRow(const std::vector<std::string>& cells) {
  constexpr int kWidths[] = {26, 16, 15, 10, 8};
  std::string line;
  for (size_t i = 0; i < cells.size(); ++i) {
    const std::string space(std::max(0, kWidths[i] - Columns(cells[i])), ' ');
    absl::StrAppend(&line, i > 0 ? " " : "", i < 2 ? cells[i] : space,
                    i < 2 ? space : cells[i]);
  }
  return line + "\n";
}

std::string Rate(const TestResult& row) {
  const std::vector<double> rates = Rates(row);
  return absl::StrFormat("%.2f ± %.2f", Mean(rates), StandardDeviation(rates));
}

std::vector<std::string> CompactCells(const TestResult& row) {
  return {row.Test(), row.policy, Rate(row),
          absl::StrFormat("%.2f", 1e3 * row.longest_step_seconds),
          absl::StrFormat("%.2f", row.cache_bytes / 1e6)};
}

std::string ModelSize(const BenchSetting& setting) {
  return absl::StrFormat("%.2f MiB", setting.model_bytes / 1048576.0);
}

}  // namespace

void DescribeModel(const Model& model, BenchSetting* setting) {
  std::map<BlockFormat, int64_t> bytes;
  for (const GgufTensor& tensor : model.file->tensors()) {
    setting->model_bytes += tensor.data.size();
    bytes[tensor.format] += tensor.data.size();
  }
  BlockFormat commonest = BlockFormat::kF32;
  for (const auto& [format, size] : bytes) {
    if (size > bytes[commonest]) commonest = format;
  }
  const std::string name =
      model.config.name.empty()
          ? std::filesystem::path(model.file->path()).stem().string()
          : model.config.name;
  setting->model = absl::StrCat(name, " ", BlockFormatName(commonest));
}

double BytesPerSecond(const TestResult& row) {
  if (!row.generates) return 0.0;
  return (row.weight_bytes + row.cache_bytes_read) * Median(Rates(row));
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

std::vector<std::string> DecodeTable::Cells(const TestResult& row) const {
  std::vector<std::string> cells = {
      setting_.model,
      ModelSize(setting_),
      setting_.backend,
      absl::StrCat(setting_.ranks),
      row.policy,
      row.Test(),
      Rate(row),
      absl::StrFormat("%.2f ms", 1e3 * row.longest_step_seconds)};
  if (row.generates) {
    cells.push_back(absl::StrFormat(
        "%.2f", (row.weight_bytes + row.cache_bytes_read) / 1e6));
    cells.push_back(absl::StrFormat("%.2f", BytesPerSecond(row) / 1e9));
    cells.push_back(Percent(BytesPerSecond(row) / setting_.read_bandwidth));
  } else {
    cells.insert(cells.end(), 3, "");
  }
  const TimeSplit split = SplitTime(row);
  const double whole = Median(row.lap_seconds);
  for (const double part : {split.dense, split.attention, split.update,
                            split.communication, split.waiting}) {
    cells.push_back(Percent(part / whole));
  }
  return cells;
}

nlohmann::ordered_json DecodeTable::Object(const TestResult& row) const {
  const std::vector<double> rates = Rates(row);
  const TimeSplit split = SplitTime(row);
  const double tokens = static_cast<double>(row.tokens);
  nlohmann::ordered_json object;
  object["model"] = setting_.model;
  object["model_size"] = setting_.model_bytes;
  object["backend"] = setting_.backend;
  object["ranks"] = setting_.ranks;
  object["threads"] = setting_.threads;
  object["policy"] = row.policy;
  object["test"] = row.Test();
  object["n_prompt"] = row.generates ? 0 : row.tokens;
  object["n_gen"] = row.generates ? row.tokens : 0;
  object["n_depth"] = row.depth;
  object["fill"] = row.depth == 0  ? "none"
                   : row.synthetic ? "synthetic"
                                   : "model";
  object["repetitions"] = row.seconds.size();
  object["avg_ts"] = Mean(rates);
  object["stddev_ts"] = StandardDeviation(rates);
  object["median_ts"] = Median(rates);
  object["longest_step_seconds"] = row.longest_step_seconds;
  object["weight_bytes_per_token"] = row.generates ? row.weight_bytes : 0;
  object["cache_bytes_per_token"] = row.generates ? row.cache_bytes_read : 0;
  object["bytes_per_second"] = BytesPerSecond(row);
  object["read_bandwidth"] = setting_.read_bandwidth;
  object["bandwidth_share"] = BytesPerSecond(row) / setting_.read_bandwidth;
  object["split_seconds_per_token"] = Median(row.lap_seconds) / tokens;
  object["dense_seconds_per_token"] = split.dense / tokens;
  object["attention_seconds_per_token"] = split.attention / tokens;
  object["update_seconds_per_token"] = split.update / tokens;
  object["communication_seconds_per_token"] = split.communication / tokens;
  object["waiting_seconds_per_token"] = split.waiting / tokens;
  object["cache_bytes"] = row.cache_bytes;
  object["resident_bytes"] = row.resident_bytes;
  object["highest_resident_bytes"] = row.highest_resident_bytes;
  return object;
}

std::string DecodeTable::AddMarkdown(const TestResult& row, bool first) {
  const std::string line = MarkdownRow(Cells(row));
  const std::string header = MarkdownRow(Header());
  if (first) {
    compact_ =
        columns_ > 0 && std::max(Columns(line), Columns(header)) > columns_ + 1;
  }
  if (!compact_) {
    return absl::StrCat(
        first ? header + MarkdownRule(Header().size(), kNames) : "", line);
  }
  return absl::StrCat(
      first ? absl::StrCat(setting_.model, ", ", ModelSize(setting_),
                           ", backend ", setting_.backend, "\n\n",
                           CompactRow({"test", "policy", "tokens/s",
                                       "longest ms", "cache MB"}))
            : "",
      CompactRow(CompactCells(row)));
}

std::string DecodeTable::Add(const TestResult& row) {
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

std::string DecodeTable::End() const {
  if (format_ == RowFormatting::kJson) {
    return all_.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) +
           "\n";
  }
  if (format_ == RowFormatting::kCsv) return "";
  return absl::StrFormat(
      "\nranks: %d, threads of each: %d, read bandwidth of all at once: "
      "%.2f GB/s\n%s",
      setting_.ranks, setting_.threads, setting_.read_bandwidth / 1e9,
      compact_ ? "every column: -o json, -o csv, or into a file\n" : "");
}

}  // namespace subgen
