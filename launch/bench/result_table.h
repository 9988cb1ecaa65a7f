// The rows of subgen_bench_decode become text, whichever table they make.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "launch/bench/decode_bench.h"
#include "launch/bench/result_rows.h"

namespace subgen {

// All rows of a run share this.
struct BenchSetting {
  std::string model;  // its name and its commonest format
  int64_t model_bytes = 0;
  std::string backend;
  int ranks = 1;
  int threads = 1;              // of a rank
  double read_bandwidth = 0.0;  // bytes per second, of all ranks at once
};

// Returns name and size of a model, as rows show them.
void DescribeModel(const Model& model, BenchSetting* setting);
std::string ModelSize(const BenchSetting& setting);  // in MiB

// A table gives what goes before the first row with the row itself, and what
// goes behind the last. json is a list of objects, with times in seconds and
// memory in bytes. A Markdown table that is wider than `columns` becomes a
// table of a few figures, at most 79 columns wide if names are not long; with 0
// there is room for everything.
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
  // Returns the row without the seconds of each repetition.
  virtual nlohmann::ordered_json Object(const TestResult& row) const = 0;
  // Returns the names of the columns, and how many of them are no figures.
  virtual Cells Header() const = 0;
  virtual size_t Names() const = 0;
  virtual Cells CellsOf(const TestResult& row) const = 0;
  // These make the table of a few figures.
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

// Formats cells of these widths, the first `names` to the left, the others to
// the right.
std::string CompactRow(const std::vector<std::string>& cells, size_t names,
                       const std::vector<int>& widths);

// Says what filled the context: none, synthetic or model.
std::string FillName(const TestResult& row);

// These are the whole test's parts, medians over the repetitions that were
// timed in parts. What of `lap_seconds` is in no other part is dense layers.
struct TimeSplit {
  double dense = 0.0, attention = 0.0, update = 0.0, communication = 0.0,
         waiting = 0.0;
};
TimeSplit SplitTime(const TestResult& row);

}  // namespace subgen
