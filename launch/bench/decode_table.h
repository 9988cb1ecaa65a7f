// Tests of one sequence are a row for each prompt and each generation.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "launch/bench/result_table.h"

namespace subgen {

class DecodeTable final : public ResultTable {
 public:
  DecodeTable(BenchSetting setting, RowFormatting format, int columns = 0)
      : ResultTable(std::move(setting), format, columns) {}

 private:
  nlohmann::ordered_json Object(const TestResult& row) const override;
  Cells Header() const override;
  size_t Names() const override { return 6; }
  Cells CellsOf(const TestResult& row) const override;
  std::string CompactHeader() const override;
  std::string CompactLine(const TestResult& row) const override;
};

// Returns the bytes that a generation test reads per second, by the median
// repetition, and 0 for a prompt test.
double BytesPerSecond(const TestResult& row);

}  // namespace subgen
