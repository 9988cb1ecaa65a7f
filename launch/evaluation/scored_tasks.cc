// The tasks copy and perplexity measure likelihoods of a text's own tokens.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "kernels/base/status_macros.h"
#include "launch/evaluation/bench.h"
#include "launch/evaluation/scoring.h"

namespace subgen {
namespace {

double Mean(Vector<const double> numbers) {
  return std::accumulate(numbers.begin(), numbers.end(), 0.0) /
         static_cast<double>(numbers.size());
}

void Append(const std::vector<int>& more, std::vector<int>* tokens) {
  tokens->insert(tokens->end(), more.begin(), more.end());
}

// The text is A, B, A: what is lost of A by the end of B is lost for good.
absl::StatusOr<ScoredText> CopyText(const Bench& bench, Draw draw) {
  const CopyPlan& copy = bench.plan.copy;
  ASSIGN_OR_RETURN(
      const ExcerptPair pair,
      UnrelatedExcerpts(bench.texts, copy.tokens_a, copy.tokens_b, draw));
  ScoredText text;
  text.tokens = bench.Beginning();
  Append(pair.a, &text.tokens);
  Append(pair.b, &text.tokens);
  text.prompt = text.first_scored = static_cast<int64_t>(text.tokens.size());
  Append(pair.a, &text.tokens);
  text.chunk = bench.plan.chunk;
  return text;
}

absl::StatusOr<ScoredText> PlainText(const Bench& bench, Draw draw) {
  const PerplexityPlan& plan = bench.plan.perplexity;
  ScoredText text;
  text.tokens = bench.Beginning();
  const int64_t first = static_cast<int64_t>(text.tokens.size());
  ASSIGN_OR_RETURN(const std::vector<int> excerpt,
                   Excerpt(bench.texts, plan.tokens, draw));
  Append(excerpt, &text.tokens);
  text.prompt = text.first_scored = first + plan.prefix;
  text.chunk = bench.plan.chunk;
  return text;
}

// These are the scores of `items` texts for each seed, and the bytes held at
// their ends.
struct Scores {
  std::vector<std::vector<double>> texts;  // -log p of each scored token
  double bytes_per_head = 0.0;
};
using MakeText = absl::StatusOr<ScoredText> (*)(const Bench&, Draw);

// Returns the scores of each setup of the group.
absl::StatusOr<std::vector<Scores>> ScoreTexts(const Bench& bench,
                                               const SetupGroup& group,
                                               int64_t items, MakeText make) {
  std::vector<Scores> all(group.size());
  for (const int64_t seed : bench.plan.seeds) {
    std::vector<ScoredText> texts;
    for (int64_t item = 0; item < items; ++item) {
      ASSIGN_OR_RETURN(texts.emplace_back(),
                       make(bench, {static_cast<uint64_t>(seed), item, 0}));
    }
    RunShape shape;
    shape.prompt_tokens = texts[0].prompt;
    shape.context_tokens = static_cast<int64_t>(texts[0].tokens.size());
    shape.seed = seed;
    const int slots = static_cast<int>(group.size());
    RETURN_IF_ERROR(bench.With(group, shape, [&](Engine& engine) {
      for (const ScoredText& text : texts) {
        const auto scores = Score(engine.leader(), text, slots);
        for (int slot = 0; slot < slots; ++slot) {
          all[slot].texts.push_back(scores[slot]);
          all[slot].bytes_per_head += bench.BytesPerHead(engine, slot);
        }
        bench.on_run(group.size());
        bench.Forget(engine, group);
      }
      return absl::OkStatus();
    }));
  }
  for (Scores& scores : all) {
    scores.bytes_per_head /= static_cast<double>(scores.texts.size());
  }
  return all;
}

ResultRows CopyRows(const Bench& bench, const Setup& setup,
                    const Scores& scores) {
  std::vector<double> likelihoods, shares;
  for (const std::vector<double>& text : scores.texts) {
    likelihoods.push_back(Mean(text));
    const auto sure = std::count_if(text.begin(), text.end(), [](double score) {
      return score < std::log(2.0);
    });
    shares.push_back(static_cast<double>(sure) /
                     static_cast<double>(text.size()));
  }
  ResultRow perplexity = bench.Row(setup, "copy", scores.bytes_per_head);
  perplexity.metric = "perplexity";
  perplexity.estimate = GeometricEstimate(likelihoods);
  ResultRow share = perplexity;
  share.metric = "share of tokens with p > 0.5";
  share.estimate = MeanEstimate(shares);
  return {perplexity, share};
}

ResultRows PerplexityRows(const Bench& bench, const Setup& setup,
                          const Scores& scores) {
  const PerplexityPlan& plan = bench.plan.perplexity;
  ResultRows rows;
  const auto add = [&](const std::string& metric, int64_t first, int64_t end) {
    std::vector<double> likelihoods;
    for (const std::vector<double>& text : scores.texts) {
      likelihoods.push_back(Mean(Vector<const double>(text).subspan(
          first - plan.prefix, end - first)));
    }
    ResultRow row = bench.Row(setup, "perplexity", scores.bytes_per_head);
    row.metric = metric;
    row.estimate = GeometricEstimate(likelihoods);
    rows.push_back(row);
  };
  add("perplexity", plan.prefix, plan.tokens);
  if (plan.buckets == 1) return rows;
  for (int64_t bucket = 0; bucket < plan.buckets; ++bucket) {
    const auto border = [&](int64_t i) {
      return plan.prefix + (plan.tokens - plan.prefix) * i / plan.buckets;
    };
    add(absl::StrCat("perplexity of positions ", border(bucket), " to ",
                     border(bucket + 1) - 1),
        border(bucket), border(bucket + 1));
  }
  return rows;
}

}  // namespace

absl::StatusOr<std::vector<ResultRows>> MeasureCopy(const Bench& bench,
                                                    const SetupGroup& group) {
  ASSIGN_OR_RETURN(const std::vector<Scores> scores,
                   ScoreTexts(bench, group, bench.plan.copy.pairs, CopyText));
  std::vector<ResultRows> rows;
  for (size_t i = 0; i < group.size(); ++i) {
    rows.push_back(CopyRows(bench, group[i], scores[i]));
  }
  return rows;
}

absl::StatusOr<std::vector<ResultRows>> MeasurePerplexity(
    const Bench& bench, const SetupGroup& group) {
  ASSIGN_OR_RETURN(
      const std::vector<Scores> scores,
      ScoreTexts(bench, group, bench.plan.perplexity.texts, PlainText));
  std::vector<ResultRows> rows;
  for (size_t i = 0; i < group.size(); ++i) {
    rows.push_back(PerplexityRows(bench, group[i], scores[i]));
  }
  return rows;
}

}  // namespace subgen
