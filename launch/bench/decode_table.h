// The rows of subgen_bench_decode as text.
#pragma once

#include <string>
#include <vector>

#include "launch/bench/decode_bench.h"
#include "launch/bench/result_rows.h"

namespace subgen {

// What all rows of a run share.
struct BenchSetting {
  std::string model;  // its name and its commonest format
  int64_t model_bytes = 0;
  std::string backend;
  int ranks = 1;
  int threads = 1;              // of a rank
  double read_bandwidth = 0.0;  // bytes a second, of all ranks at once
};

// Name and size of a model, as rows show them.
void DescribeModel(const Model& model, BenchSetting* setting);

// What goes before the first row, the row itself, what goes behind the last.
// json is a list of objects; times in them are seconds, memory is bytes. A
// Markdown table that is wider than `columns` is a table of a few figures, at
// most 79 columns where names are not long; 0: there is room for everything.
class DecodeTable {
 public:
  DecodeTable(BenchSetting setting, RowFormatting format, int columns = 0)
      : setting_(std::move(setting)), format_(format), columns_(columns) {}

  std::string Add(const TestResult& row);
  std::string End() const;

 private:
  nlohmann::ordered_json Object(const TestResult& row) const;
  std::vector<std::string> Cells(const TestResult& row) const;
  std::string AddMarkdown(const TestResult& row, bool first);

  const BenchSetting setting_;
  const RowFormatting format_;
  const int columns_;
  bool compact_ = false;
  int64_t rows_ = 0;
  nlohmann::ordered_json all_ = nlohmann::ordered_json::array();
};

// Bytes that a generation test reads a second, by the median repetition; 0 of
// a prompt test.
double BytesPerSecond(const TestResult& row);
// The whole test's parts, medians over the repetitions that were timed in
// parts: of `lap_seconds`, what is in no other part is dense layers.
struct TimeSplit {
  double dense = 0.0, attention = 0.0, update = 0.0, communication = 0.0,
         waiting = 0.0;
};
TimeSplit SplitTime(const TestResult& row);

}  // namespace subgen
