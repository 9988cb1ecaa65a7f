#include "launch/report.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace subgen {
namespace {

double PerSecond(int64_t tokens, double seconds) {
  return seconds > 0 ? tokens / seconds : 0.0;
}

double Percent(double part, double whole) {
  return whole > 0 ? 100.0 * part / whole : 0.0;
}

nlohmann::json TopLogitsJson(const GenerationResult& result) {
  nlohmann::json all = nlohmann::json::array();
  for (const auto& token : result.top_logits) {
    nlohmann::json best = nlohmann::json::array();
    for (const TokenLogit& each : token)
      best.push_back({each.token, each.logit});
    all.push_back(best);
  }
  return all;
}

}  // namespace

std::string Summary(const GenerationReport& report) {
  const GenerationTimes& times = report.result.times;
  const double communication =
      Percent(times.decode_communication_seconds, times.decode_seconds);
  constexpr double kMegabyte = 1e6;
  std::string text = absl::StrFormat(
      "prefill  %6d tokens %8.2f s %8.1f tokens/s\n"
      "decode   %6d tokens %8.2f s %8.1f tokens/s   per token %.2f ms: "
      "compute %.0f %%, communication %.0f %%\n",
      times.prefill_tokens, times.prefill_seconds,
      PerSecond(times.prefill_tokens, times.prefill_seconds),
      times.decode_tokens, times.decode_seconds,
      PerSecond(times.decode_tokens, times.decode_seconds),
      times.decode_tokens > 0 ? 1e3 * times.decode_seconds / times.decode_tokens
                              : 0.0,
      times.decode_seconds > 0 ? 100.0 - communication : 0.0, communication);
  absl::StrAppendFormat(
      &text,
      "cache    %s holds %.2f MB, exact would hold %.2f MB (%.0f %%)\n"
      "ranks    %d = %d head shards x %d token shards, backend %s\n",
      report.policy, report.totals.cache_bytes / kMegabyte,
      report.totals.exact_cache_bytes / kMegabyte,
      Percent(report.totals.cache_bytes, report.totals.exact_cache_bytes),
      report.ranks, report.grid.head_shards, report.grid.token_shards,
      report.backend);
  if (!report.note.empty()) {
    absl::StrAppendFormat(&text, "note     %s\n", report.note);
  }
  return text;
}

std::string ToJson(const GenerationReport& report) {
  const GenerationResult& result = report.result;
  const GenerationTimes& times = result.times;
  nlohmann::ordered_json json;
  json["prompt_tokens"] = report.prompt_tokens;
  json["tokens"] = result.tokens;
  json["text"] = result.text;
  json["finish_reason"] = result.finish_reason;
  if (!result.top_logits.empty()) json["top_logits"] = TopLogitsJson(result);
  json["prefill"] = {{"tokens", times.prefill_tokens},
                     {"seconds", times.prefill_seconds},
                     {"tokens_per_second",
                      PerSecond(times.prefill_tokens, times.prefill_seconds)}};
  json["decode"] = {
      {"tokens", times.decode_tokens},
      {"seconds", times.decode_seconds},
      {"tokens_per_second",
       PerSecond(times.decode_tokens, times.decode_seconds)},
      {"communication_seconds", times.decode_communication_seconds}};
  json["cache"] = {{"policy", report.policy},
                   {"bytes", report.totals.cache_bytes},
                   {"exact_bytes", report.totals.exact_cache_bytes},
                   {"rows", report.totals.cache_rows}};
  json["ranks"] = {{"world", report.ranks},
                   {"head_shards", report.grid.head_shards},
                   {"token_shards", report.grid.token_shards},
                   {"token_block", report.grid.token_block}};
  json["backend"] = report.backend;
  if (!report.note.empty()) json["note"] = report.note;
  json["weight_bytes"] = report.totals.weight_bytes;
  return json.dump(1) + "\n";
}

}  // namespace subgen
