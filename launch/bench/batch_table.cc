#include "launch/bench/batch_table.h"

#include <algorithm>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace subgen {
namespace {

double Rate(int64_t tokens, double seconds) {
  return tokens > 0 ? tokens / seconds : 0.0;
}

// Returns a time and a rate, and nothing if the test has no such tokens.
void AddCells(int64_t tokens, double seconds, double rate,
              std::vector<std::string>* cells) {
  cells->push_back(tokens > 0 ? absl::StrFormat("%.3f", seconds) : "");
  cells->push_back(tokens > 0 ? absl::StrFormat("%.2f", rate) : "");
}

std::string Compact(const std::vector<std::string>& cells) {
  return CompactRow(cells, 1, {16, 6, 5, 5, 4, 9, 9, 9});
}

}  // namespace

BatchFigures FiguresOf(const TestResult& row) {
  std::vector<size_t> order(row.seconds.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return row.seconds[a] < row.seconds[b];
  });
  const size_t median = order.at((order.size() - 1) / 2);
  const BenchTest& test = row.test;
  BatchFigures figures;
  figures.cached = test.sequences * (row.depth + test.tokens());
  figures.seconds = row.seconds[median];
  figures.prompt_seconds = row.prompt_seconds.at(median);
  figures.generation_seconds = figures.seconds - figures.prompt_seconds;
  figures.prompt_rate =
      Rate(test.sequences * test.prompt, figures.prompt_seconds);
  figures.generation_rate =
      Rate(test.sequences * test.generated, figures.generation_seconds);
  figures.rate = Rate(test.sequences * test.tokens(), figures.seconds);
  return figures;
}

ResultTable::Cells BatchTable::Header() const {
  return {"policy", "depth",    "PP",     "TG",       "B",   "N_KV",
          "T_PP s", "S_PP t/s", "T_TG s", "S_TG t/s", "T s", "S t/s"};
}

ResultTable::Cells BatchTable::CellsOf(const TestResult& row) const {
  const BatchFigures figures = FiguresOf(row);
  const BenchTest& test = row.test;
  Cells cells = {row.policy,
                 absl::StrCat(row.depth, row.synthetic ? " synthetic" : ""),
                 absl::StrCat(test.prompt),
                 absl::StrCat(test.generated),
                 absl::StrCat(test.sequences),
                 absl::StrCat(figures.cached)};
  AddCells(test.prompt, figures.prompt_seconds, figures.prompt_rate, &cells);
  AddCells(test.generated, figures.generation_seconds, figures.generation_rate,
           &cells);
  AddCells(test.tokens(), figures.seconds, figures.rate, &cells);
  return cells;
}

// These are the keys of llama-batched-bench's own objects, and ours.
nlohmann::ordered_json BatchTable::Object(const TestResult& row) const {
  const BatchFigures figures = FiguresOf(row);
  const TimeSplit split = SplitTime(row);
  nlohmann::ordered_json object;
  object["model"] = setting().model;
  object["model_size"] = setting().model_bytes;
  object["backend"] = setting().backend;
  object["ranks"] = setting().ranks;
  object["n_threads"] = setting().threads;
  object["policy"] = row.policy;
  object["depth"] = row.depth;
  object["fill"] = FillName(row);
  object["repetitions"] = row.seconds.size();
  object["pp"] = row.test.prompt;
  object["tg"] = row.test.generated;
  object["pl"] = row.test.sequences;
  object["n_kv"] = figures.cached;
  object["t_pp"] = figures.prompt_seconds;
  object["speed_pp"] = figures.prompt_rate;
  object["t_tg"] = figures.generation_seconds;
  object["speed_tg"] = figures.generation_rate;
  object["t"] = figures.seconds;
  object["speed"] = figures.rate;
  object["longest_step_seconds"] = row.longest_step_seconds;
  object["dense_seconds"] = split.dense;
  object["attention_seconds"] = split.attention;
  object["update_seconds"] = split.update;
  object["communication_seconds"] = split.communication;
  object["waiting_seconds"] = split.waiting;
  object["weight_bytes_per_step"] =
      row.test.generated > 0 ? row.weight_bytes : 0;
  object["read_bandwidth"] = setting().read_bandwidth;
  object["cache_bytes"] = row.cache_bytes;
  object["resident_bytes"] = row.resident_bytes;
  object["highest_resident_bytes"] = row.highest_resident_bytes;
  return object;
}

std::string BatchTable::CompactHeader() const {
  return Compact(
      {"policy", "depth", "PP", "TG", "B", "S_PP t/s", "S_TG t/s", "S t/s"});
}

std::string BatchTable::CompactLine(const TestResult& row) const {
  const Cells all = CellsOf(row);
  return Compact({row.policy, absl::StrCat(row.depth), all[2], all[3], all[4],
                  all[7], all[9], all[11]});
}

}  // namespace subgen
