// The rows of subgen_bench_comm become text in nccl-tests' columns.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/model/model_config.h"
#include "launch/bench/comm_bench.h"

namespace subgen {

enum class CommFormat { kText, kCsv, kJson };

// Knows "text", "csv" and "json".
absl::StatusOr<CommFormat> ParseCommFormat(const std::string& name);

// Returns the floats of an operation's message in a step of `tokens` tokens:
// the residual stream for all-reduces (one number per query head for the max of
// a merge), the logits of one token for all-gathers, the partials of one rank
// for merges. As many ranks as there are KV heads share those out, and the
// others share the context.
int64_t MessageFloats(CommOperation operation, int64_t tokens,
                      const ModelConfig& model, int ranks);

// This is a message of a step of the engine, and says of which: "logits",
// "attention output or feed-forward, decode". No two of a list have the same
// operation and step.
struct EngineMessage {
  CommOperation operation = CommOperation::kAllReduceSum;
  int64_t floats = 0;
  std::string step;
};
// Lists the messages of a decoded token and of a prompt's chunk of `chunk`
// tokens.
std::vector<EngineMessage> EngineMessages(const ModelConfig& model,
                                          int64_t chunk, int ranks);

class CommTable {
 public:
  CommTable(std::string transport, CommFormat format)
      : transport_(std::move(transport)), format_(format) {}

  // Add returns what is to be printed at once, End what is printed in the end.
  std::string Add(const CommRow& row);
  std::string End() const;
  int64_t wrong() const { return wrong_; }

 private:
  const std::string transport_;
  const CommFormat format_;
  int64_t rows_ = 0, wrong_ = 0;
  double bus_bandwidth_ = 0.0;  // summed over rows
  nlohmann::ordered_json all_ = nlohmann::ordered_json::array();
};

}  // namespace subgen
