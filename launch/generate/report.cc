#include "launch/generate/report.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "engine/cache/budget.h"

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

// Sets thousands apart: 16,384.
std::string Grouped(int64_t number) {
  std::string text = absl::StrCat(number);
  for (int64_t i = static_cast<int64_t>(text.size()) - 3; i > 0; i -= 3) {
    text.insert(i, ",");
  }
  return text;
}

bool KeptEveryToken(const RankTotals& totals) {
  return totals.cache_rows >= totals.exact_cache_rows;
}

std::string CacheLine(const GenerationReport& report) {
  constexpr double kMegabyte = 1e6;
  const RankTotals& totals = report.totals;
  const std::string bytes = absl::StrFormat("%.2f MB used, %.2f MB reserved",
                                            totals.cache_bytes / kMegabyte,
                                            totals.reserved_bytes / kMegabyte);
  const bool bits = KeepsFewBits(report.cache);
  const std::string exact = absl::StrFormat(
      "exact would use %.2f MB (%.0f %%)", totals.exact_cache_bytes / kMegabyte,
      Percent(totals.cache_bytes, totals.exact_cache_bytes));
  if (!KeptEveryToken(totals)) {
    return absl::StrFormat(
        "cache    %s: %s tokens in %.0f %% of their rows; %s; %s\n",
        report.cache.policy, Grouped(totals.tokens),
        Percent(totals.cache_rows, totals.exact_cache_rows), bytes, exact);
  }
  if (bits && totals.cache_bytes < totals.exact_cache_bytes) {
    return absl::StrFormat(
        "cache    %s: all %s tokens held in few bits; %s; %s\n",
        report.cache.policy, Grouped(totals.tokens), bytes, exact);
  }
  return absl::StrFormat("cache    %s: all %s tokens held exactly; %s\n",
                         report.cache.policy, Grouped(totals.tokens), bytes);
}

}  // namespace

std::string DescribeCache(const Engine& engine) {
  const CacheConfig& cache = engine.cache();
  if (TakesBudget(cache)) {
    const std::string rows = Grouped(
        cache.budget_tokens > 0 ? cache.budget_tokens : engine.budget_rows());
    return absl::StrFormat(
        "policy   %s, %s rows per KV head: exact up to %s tokens\n",
        cache.policy, rows, rows);
  }
  std::string text =
      absl::StrFormat("policy   %s: every token is kept\n", cache.policy);
  if (HasBudget(cache)) {
    absl::StrAppendFormat(
        &text,
        "note     the budget of the settings has no effect: %s has none\n",
        cache.policy);
  }
  return text;
}

std::string Summary(const GenerationReport& report) {
  const GenerationTimes& times = report.result.times;
  const double communication =
      Percent(times.decode_communication_seconds, times.decode_seconds);
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
  absl::StrAppend(&text, CacheLine(report));
  absl::StrAppendFormat(
      &text, "ranks    %d = %d head shards x %d token shards, backend %s\n",
      report.ranks, report.grid.head_shards, report.grid.token_shards,
      report.backend);
  if (report.result.finish_reason == "length") {
    absl::StrAppendFormat(&text, "note     cut at %d tokens (max_tokens)\n",
                          report.result.tokens.size());
  } else if (report.result.finish_reason == "context") {
    absl::StrAppend(&text, "note     cut: the context is full\n");
  }
  if (!report.note.empty()) {
    absl::StrAppendFormat(&text, "note     %s\n", report.note);
  }
  // Even ranks of one thread on one core each stay under a third.
  constexpr double kWaiting = 50.0;
  if (report.ranks > 1 && communication > kWaiting) {
    absl::StrAppend(&text,
                    "note     the ranks wait for one another, as on a machine "
                    "that is busy: one rank would be faster\n");
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
  json["cache"] = {{"policy", report.cache.policy},
                   {"budget_tokens", report.cache.budget_tokens},
                   {"tokens", report.totals.tokens},
                   {"bytes", report.totals.cache_bytes},
                   {"reserved_bytes", report.totals.reserved_bytes},
                   {"exact_bytes", report.totals.exact_cache_bytes},
                   {"rows", report.totals.cache_rows},
                   {"exact_rows", report.totals.exact_cache_rows}};
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
