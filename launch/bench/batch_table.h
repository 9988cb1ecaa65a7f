// Tests of many sequences at once are shown in the columns of
// llama-batched-bench: PP and TG tokens of each of B sequences, N_KV tokens in
// all caches at the end, T seconds and S tokens per second of all sequences
// together.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "launch/bench/result_table.h"

namespace subgen {

// These are the figures of one repetition: the one of the median time, and of
// an even number the faster of the middle two.
struct BatchFigures {
  int64_t cached = 0;  // N_KV, the depth before the test included
  double prompt_seconds = 0.0, generation_seconds = 0.0, seconds = 0.0;
  // These are tokens per second, without what the context was filled with. They
  // are 0 if there are no tokens.
  double prompt_rate = 0.0, generation_rate = 0.0, rate = 0.0;
};
BatchFigures FiguresOf(const TestResult& row);

class BatchTable final : public ResultTable {
 public:
  BatchTable(BenchSetting setting, RowFormatting format, int columns = 0)
      : ResultTable(std::move(setting), format, columns) {}

 private:
  nlohmann::ordered_json Object(const TestResult& row) const override;
  Cells Header() const override;
  size_t Names() const override { return 1; }
  Cells CellsOf(const TestResult& row) const override;
  std::string CompactHeader() const override;
  std::string CompactLine(const TestResult& row) const override;
};

}  // namespace subgen
