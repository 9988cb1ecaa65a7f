#include "launch/bench/comm_table.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "kernels/base/quoted.h"
#include "launch/bench/result_rows.h"

namespace subgen {
namespace {

std::string TextHeader(const std::string& transport, int ranks) {
  return absl::StrFormat(
      "# %d ranks over %s\n"
      "# %-16s %12s %12s %8s %8s %6s %12s %10s %10s %8s  %s\n"
      "# %-16s %12s %12s %8s %8s %6s %12s %10s %10s %8s\n",
      ranks, transport, "", "size", "count", "type", "redop", "root", "time",
      "algbw", "busbw", "#wrong", "step", "", "(B)", "(elements)", "", "", "",
      "(us)", "(GB/s)", "(GB/s)", "");
}

// Says what the engine sends by an operation (transformer.cc,
// partial_merge.cc).
std::string Purpose(CommOperation operation) {
  switch (operation) {
    case CommOperation::kAllReduceSum:
      return "attention output or feed-forward";
    case CommOperation::kAllReduceMax:
      return "largest logits of merge_all_reduce";
    case CommOperation::kAllGather:
      return "logits";
    case CommOperation::kMergeByAllReduce:
    case CommOperation::kMergeByAllGather:
      return "attention of token shards";
  }
  return "";
}

}  // namespace

absl::StatusOr<CommFormat> ParseCommFormat(const std::string& name) {
  if (name == "text") return CommFormat::kText;
  if (name == "csv") return CommFormat::kCsv;
  if (name == "json") return CommFormat::kJson;
  return absl::InvalidArgumentError(
      absl::StrCat("-o ", Quoted(name), ": legal are text, csv and json"));
}

int64_t MessageFloats(CommOperation operation, int64_t tokens,
                      const ModelConfig& model, int ranks) {
  const int shards = std::min(ranks, model.kv_heads);
  const int64_t heads = (model.kv_heads + shards - 1) / shards * model.group();
  switch (operation) {
    case CommOperation::kAllReduceSum:
      return tokens * model.embedding;
    case CommOperation::kAllReduceMax:
      return tokens * heads;
    case CommOperation::kAllGather:
      return model.vocabulary;
    case CommOperation::kMergeByAllReduce:
    case CommOperation::kMergeByAllGather:
      return tokens * heads * (model.head_dim + 2);
  }
  return 0;
}

std::vector<EngineMessage> EngineMessages(const ModelConfig& model,
                                          int64_t chunk, int ranks) {
  std::vector<EngineMessage> messages;
  for (const CommOperation operation : kCommOperations) {
    const std::string purpose = Purpose(operation);
    const auto add = [&](int64_t tokens, const std::string& when) {
      messages.push_back({operation,
                          MessageFloats(operation, tokens, model, ranks),
                          absl::StrCat(purpose, ", ", when)});
    };
    add(1, "decode");
    // Only the last token's logits of a prompt are wanted.
    if (operation == CommOperation::kAllGather) continue;
    add(chunk, absl::StrCat("prompt by ", chunk));
  }
  return messages;
}

std::string CommTable::Add(const CommRow& row) {
  const bool first = rows_++ == 0;
  wrong_ += row.wrong;
  bus_bandwidth_ += row.bus_bandwidth();
  const std::string name = CommOperationName(row.operation);
  const std::string reduction = ReductionName(row.operation);
  if (format_ == CommFormat::kText) {
    return (first ? TextHeader(transport_, row.ranks) : "") +
           absl::StrFormat(
               "  %-16s %12d %12d %8s %8s %6d %12.2f %10.3f %10.3f %8d  %s\n",
               name, row.bytes(), row.count, "float", reduction, -1,
               row.microseconds, row.algorithm_bandwidth(), row.bus_bandwidth(),
               row.wrong, row.step.empty() ? "-" : row.step);
  }
  nlohmann::ordered_json object;
  object["communicator"] = transport_;
  object["ranks"] = row.ranks;
  object["operation"] = name;
  object["size"] = row.bytes();
  object["count"] = row.count;
  object["type"] = "float";
  object["redop"] = reduction;
  object["root"] = -1;
  object["time"] = row.microseconds;
  object["algbw"] = row.algorithm_bandwidth();
  object["busbw"] = row.bus_bandwidth();
  object["wrong"] = row.wrong;
  object["step"] = row.step;
  if (format_ == CommFormat::kCsv) {
    return (first ? CsvHeader(object) : "") + CsvRow(object);
  }
  all_.push_back(std::move(object));
  return "";
}

std::string CommTable::End() const {
  if (format_ == CommFormat::kJson) return all_.dump(1) + "\n";
  if (format_ == CommFormat::kCsv) return "";
  return absl::StrFormat(
      "# Out of bounds values : %d %s\n# Avg bus bandwidth    : %.3f\n", wrong_,
      wrong_ == 0 ? "OK" : "FAILED", rows_ > 0 ? bus_bandwidth_ / rows_ : 0.0);
}

}  // namespace subgen
