#include "launch/bench/decode_table.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "launch/bench/samples.h"

namespace subgen {
namespace {

bool Generates(const TestResult& row) { return row.test.generated > 0; }

std::vector<double> Rates(const TestResult& row) {
  std::vector<double> rates;
  for (const double seconds : row.seconds)
    rates.push_back(row.test.tokens() / seconds);
  return rates;
}

std::string Percent(double share) {
  return absl::StrFormat("%.0f %%", 100.0 * share);
}

std::string Rate(const TestResult& row) {
  const std::vector<double> rates = Rates(row);
  return absl::StrFormat("%.2f ± %.2f", Mean(rates), StandardDeviation(rates));
}

std::string Compact(const std::vector<std::string>& cells) {
  return CompactRow(cells, 2, {26, 16, 15, 10, 8});
}

}  // namespace

double BytesPerSecond(const TestResult& row) {
  if (!Generates(row)) return 0.0;
  return (row.weight_bytes + row.cache_bytes_read) * Median(Rates(row));
}

ResultTable::Cells DecodeTable::Header() const {
  return {"model",
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
}

ResultTable::Cells DecodeTable::CellsOf(const TestResult& row) const {
  Cells cells = {setting().model,
                 ModelSize(setting()),
                 setting().backend,
                 absl::StrCat(setting().ranks),
                 row.policy,
                 row.Test(),
                 Rate(row),
                 absl::StrFormat("%.2f ms", 1e3 * row.longest_step_seconds)};
  if (Generates(row)) {
    cells.push_back(absl::StrFormat(
        "%.2f", (row.weight_bytes + row.cache_bytes_read) / 1e6));
    cells.push_back(absl::StrFormat("%.2f", BytesPerSecond(row) / 1e9));
    cells.push_back(Percent(BytesPerSecond(row) / setting().read_bandwidth));
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
  const double tokens = static_cast<double>(row.test.tokens());
  nlohmann::ordered_json object;
  object["model"] = setting().model;
  object["model_size"] = setting().model_bytes;
  object["backend"] = setting().backend;
  object["ranks"] = setting().ranks;
  object["threads"] = setting().threads;
  object["policy"] = row.policy;
  object["test"] = row.Test();
  object["n_prompt"] = row.test.prompt;
  object["n_gen"] = row.test.generated;
  object["n_depth"] = row.depth;
  object["fill"] = FillName(row);
  object["repetitions"] = row.seconds.size();
  object["avg_ts"] = Mean(rates);
  object["stddev_ts"] = StandardDeviation(rates);
  object["median_ts"] = Median(rates);
  object["longest_step_seconds"] = row.longest_step_seconds;
  object["weight_bytes_per_token"] = Generates(row) ? row.weight_bytes : 0;
  object["cache_bytes_per_token"] = Generates(row) ? row.cache_bytes_read : 0;
  object["bytes_per_second"] = BytesPerSecond(row);
  object["read_bandwidth"] = setting().read_bandwidth;
  object["bandwidth_share"] = BytesPerSecond(row) / setting().read_bandwidth;
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

std::string DecodeTable::CompactHeader() const {
  return Compact({"test", "policy", "tokens/s", "longest ms", "cache MB"});
}

std::string DecodeTable::CompactLine(const TestResult& row) const {
  return Compact({row.Test(), row.policy, Rate(row),
                  absl::StrFormat("%.2f", 1e3 * row.longest_step_seconds),
                  absl::StrFormat("%.2f", row.cache_bytes / 1e6)});
}

}  // namespace subgen
