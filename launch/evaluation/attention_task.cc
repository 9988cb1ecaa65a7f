// The task attention measures errors of attention outputs, for each layer and
// head.
#include <numeric>

#include "kernels/base/status_macros.h"
#include "launch/evaluation/bench.h"
#include "launch/evaluation/scoring.h"

namespace subgen {
namespace {

struct Measured {
  std::vector<AttentionErrors> texts;
  double bytes_per_head = 0.0;
};

absl::StatusOr<Measured> MeasureTexts(const Bench& bench, const Setup& setup) {
  const AttentionPlan& plan = bench.plan.attention;
  Measured measured;
  for (const int64_t seed : bench.plan.seeds) {
    for (int64_t item = 0; item < plan.texts; ++item) {
      ScoredText text;
      text.tokens = bench.Beginning();
      text.prompt = static_cast<int64_t>(text.tokens.size()) + plan.prefix;
      ASSIGN_OR_RETURN(const std::vector<int> excerpt,
                       Excerpt(bench.texts, plan.tokens,
                               {static_cast<uint64_t>(seed), item, 0}));
      text.tokens.insert(text.tokens.end(), excerpt.begin(), excerpt.end());
      // The last token has no query: Score does not read it.
      text.tokens.push_back(text.tokens.back());
      text.first_scored = static_cast<int64_t>(text.tokens.size()) - 1;
      text.chunk = bench.plan.chunk;
      RunShape shape;
      shape.prompt_tokens = text.prompt;
      shape.context_tokens = text.first_scored + 1;
      shape.seed = seed;
      shape.measured_from = text.prompt;
      RETURN_IF_ERROR(bench.With({setup}, shape, [&](Engine& engine) {
        Score(engine.leader(), text);
        measured.bytes_per_head += bench.BytesPerHead(engine, 0);
        return absl::OkStatus();
      }));
      measured.texts.push_back(bench.series.errors());
      bench.on_run(1);
    }
  }
  measured.bytes_per_head /= static_cast<double>(measured.texts.size());
  return measured;
}

absl::StatusOr<ResultRows> MeasureSetup(const Bench& bench,
                                        const Setup& setup) {
  ASSIGN_OR_RETURN(const Measured measured, MeasureTexts(bench, setup));
  ResultRows rows;
  const int heads = bench.model.file.config.query_heads;
  const auto add = [&](const char* metric,
                       std::vector<double> AttentionErrors::*errors) {
    ResultRow row = bench.Row(setup, "attention", measured.bytes_per_head);
    row.metric = metric;
    std::vector<double> means;
    for (const AttentionErrors& text : measured.texts) {
      const std::vector<double>& all = text.*errors;
      means.push_back(std::accumulate(all.begin(), all.end(), 0.0) /
                      static_cast<double>(all.size()));
    }
    row.estimate = MeanEstimate(means);
    rows.push_back(row);
    if (!bench.plan.attention.per_head) return;
    for (int i = 0; i < bench.model.file.config.layers * heads; ++i) {
      std::vector<double> samples;
      for (const AttentionErrors& text : measured.texts) {
        samples.push_back((text.*errors)[i]);
      }
      row.estimate = MeanEstimate(samples);
      row.layer = i / heads;
      row.head = i % heads;
      rows.push_back(row);
    }
  };
  add("relative error", &AttentionErrors::relative);
  add("error / (|softmax(Kq)| |V|)", &AttentionErrors::of_bound);
  return rows;
}

}  // namespace

// The setups are measured one after the other, each at every step beside exact
// attention.
absl::StatusOr<std::vector<ResultRows>> MeasureAttention(
    const Bench& bench, const SetupGroup& group) {
  std::vector<ResultRows> rows;
  for (const Setup& setup : group) {
    ASSIGN_OR_RETURN(rows.emplace_back(), MeasureSetup(bench, setup));
  }
  return rows;
}

}  // namespace subgen
