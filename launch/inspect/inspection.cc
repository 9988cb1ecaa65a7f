#include "launch/inspect/inspection.h"

#include <nlohmann/json.hpp>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "kernels/base/status_macros.h"
#include "launch/ranks/output.h"

namespace subgen {
namespace {

constexpr size_t kShownBytes = 60, kShownElements = 4;

template <class... Visitors>
struct Overloaded : Visitors... {
  using Visitors::operator()...;
};

// A file's text is shown as a JSON string, so that no control character reaches
// the terminal.
std::string Quoted(absl::string_view text) {
  const bool cut = text.size() > kShownBytes;
  const std::string shown(text.substr(0, kShownBytes));
  return nlohmann::json(shown).dump(-1, ' ', true,
                                    nlohmann::json::error_handler_t::replace) +
         (cut ? "..." : "");
}

std::string Element(absl::string_view text) { return Quoted(text); }
std::string Element(bool value) { return value ? "true" : "false"; }
std::string Element(int64_t value) { return absl::StrCat(value); }
std::string Element(double value) { return absl::StrCat(value); }

template <class T>
std::string DescribeArray(const std::vector<T>& values) {
  std::vector<std::string> shown;
  for (size_t i = 0; i < std::min(values.size(), kShownElements); ++i) {
    shown.push_back(Element(T(values[i])));
  }
  if (values.size() > kShownElements) shown.push_back("...");
  return absl::StrCat(values.size(), " x [", absl::StrJoin(shown, ", "), "]");
}

std::string DescribeValue(const GgufFile::Value& value) {
  return std::visit(
      Overloaded{[](const GgufFile::Array& array) {
                   return std::visit(
                       [](const auto& values) { return DescribeArray(values); },
                       array);
                 },
                 [](absl::string_view text) { return Quoted(text); },
                 [](bool truth) { return Element(truth); },
                 [](auto number) { return absl::StrCat(number); }},
      value);
}

std::string DescribeRange(Range range) {
  if (range.count == 0) return "none";
  return absl::StrCat(range.first, "..", range.end() - 1);
}

}  // namespace

std::string DescribeMetadata(const GgufFile& file) {
  std::string text = absl::StrFormat(
      "%s: %.1f MB, %d keys, %d tensors\n\n", file.path(),
      file.file_bytes() / 1e6, file.metadata().size(), file.tensors().size());
  for (const auto& [key, value] : file.metadata()) {
    absl::StrAppendFormat(&text, "%-42s %s\n", key, DescribeValue(value));
  }
  return text;
}

std::string DescribeTensors(const GgufFile& file) {
  std::string text = "\n";
  for (const ModelTensor& tensor : file.tensors()) {
    absl::StrAppendFormat(&text, "%-32s %-5s [%s] %d bytes\n", tensor.name,
                          std::string(BlockFormatName(tensor.format)),
                          absl::StrJoin(tensor.shape, ", "),
                          tensor.data.size());
  }
  return text;
}

std::string DescribePlan(const Model& model, const GridShape& shape) {
  std::string text = absl::StrFormat(
      "\n%d ranks = %d head shards x %d token shards; %d query heads on %d KV "
      "heads\n",
      shape.world(), shape.head_shards, shape.token_shards,
      model.file.config.query_heads, model.file.config.kv_heads);
  for (int rank = 0; rank < shape.world(); ++rank) {
    const ShardPlan plan = PlanShard(model.file, shape, rank);
    const Weights weights = LoadWeights(model.file, plan);
    absl::StrAppendFormat(
        &text,
        "rank %d: head shard %d, token shard %d; KV heads %s, query heads %s, "
        "output columns %s, feed-forward %s, vocabulary %s; %.1f MB\n",
        rank, shape.HeadShard(rank), shape.TokenShard(rank),
        DescribeRange(plan.kv_heads), DescribeRange(plan.query_heads),
        DescribeRange(plan.output_columns), DescribeRange(plan.feed_forward),
        DescribeRange(plan.vocabulary), weights.bytes / 1e6);
  }
  return text;
}

absl::Status TokenizeLines(const Tokenizer& tokenizer, std::istream& in) {
  std::string line;
  for (int number = 1; std::getline(in, line); ++number) {
    const auto text = nlohmann::json::parse(line, nullptr, false);
    if (!text.is_string()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "line ", number, " of standard input is not a JSON string"));
    }
    const auto ids = tokenizer.Encode(text.get<std::string>(), true);
    if (!ids.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "line ", number, " of standard input: ", ids.status().message()));
    }
    RETURN_IF_ERROR(Print(absl::StrCat(nlohmann::json(*ids).dump(), "\n")));
  }
  return absl::OkStatus();
}

}  // namespace subgen
