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
// json is a list of objects; times in them are seconds, memory is bytes.
class DecodeTable {
 public:
  DecodeTable(BenchSetting setting, RowFormatting format)
      : setting_(std::move(setting)), format_(format) {}

  std::string Add(const TestResult& row);
  std::string End() const;

 private:
  nlohmann::ordered_json Object(const TestResult& row) const;
  std::vector<std::string> Cells(const TestResult& row) const;

  const BenchSetting setting_;
  const RowFormatting format_;
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
