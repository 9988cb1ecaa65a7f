// The rows of subgen_bench_decode as text, whichever table they make.
#pragma once

#include <string>
#include <utility>
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
std::string ModelSize(const BenchSetting& setting);  // in MiB

// What goes before the first row, the row itself, what goes behind the last.
// json is a list of objects; times in them are seconds, memory is bytes. A
// Markdown table that is wider than `columns` is a table of a few figures, at
// most 79 columns where names are not long; 0: there is room for everything.
class ResultTable {
 public:
  ResultTable(BenchSetting setting, RowFormatting format, int columns)
      : setting_(std::move(setting)), format_(format), columns_(columns) {}
  virtual ~ResultTable() = default;

  std::string Add(const TestResult& row);
  std::string End() const;

 protected:
  using Cells = std::vector<std::string>;
  const BenchSetting& setting() const { return setting_; }

 private:
  // Without the seconds of each repetition.
  virtual nlohmann::ordered_json Object(const TestResult& row) const = 0;
  // Names of the columns, and how many of them are no figures.
  virtual Cells Header() const = 0;
  virtual size_t Names() const = 0;
  virtual Cells CellsOf(const TestResult& row) const = 0;
  // The table of a few figures.
  virtual std::string CompactHeader() const = 0;
  virtual std::string CompactLine(const TestResult& row) const = 0;

  std::string AddMarkdown(const TestResult& row, bool first);

  const BenchSetting setting_;
  const RowFormatting format_;
  const int columns_;
  bool compact_ = false;
  int64_t rows_ = 0;
  nlohmann::ordered_json all_ = nlohmann::ordered_json::array();
};

// Cells so wide, the first `names` to the left, the others to the right.
std::string CompactRow(const std::vector<std::string>& cells, size_t names,
                       const std::vector<int>& widths);

// What filled the context: none, synthetic or model.
std::string FillName(const TestResult& row);

// The whole test's parts, medians over the repetitions that were timed in
// parts: of `lap_seconds`, what is in no other part is dense layers.
struct TimeSplit {
  double dense = 0.0, attention = 0.0, update = 0.0, communication = 0.0,
         waiting = 0.0;
};
TimeSplit SplitTime(const TestResult& row);

}  // namespace subgen
