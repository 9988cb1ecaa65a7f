// A sampler makes a token of logits: repetition penalty, temperature, top-k,
// top-p, min-p, then a draw. Temperature 0 takes the best token.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/config/engine_config.h"
#include "kernels/memory/view.h"
#include "kernels/top_numbers.h"

namespace subgen {

struct TokenLogit {
  int token = 0;
  float logit = 0.0f;
};

// Returns the n largest, best first, equal logits in order of id.
std::vector<TokenLogit> TopLogits(Vector<const float> logits, int n);
// Does the same where `top` has so many or all.
std::vector<TokenLogit> TopLogits(const RowTop& top, int n);

// Returns -log softmax(logits)[token], in nats.
double NegativeLogLikelihood(Vector<const float> logits, int token);

// This is what of a row of logits (kernels/top_numbers.h) makes a token.
struct TopNeed {
  int64_t most = 1;
  float scale = 0.0f;
};

class Sampler {
 public:
  explicit Sampler(const SamplingConfig& config) : config_(config) {}

  // `history` is the sequence so far. The draw is a function of (seed,
  // position) alone. It is an error where logits are not finite, as of a
  // damaged model.
  absl::StatusOr<int> Sample(Vector<const float> logits,
                             Vector<const int> history, int64_t position) const;

  // Returns nothing where only whole rows will do.
  std::optional<TopNeed> Need() const;
  // Returns what Sample gives for the row of which this is the top, of at least
  // what is needed; or nothing where that takes the whole row.
  std::optional<int> SampleTop(const RowTop& top, Vector<const int> history,
                               int64_t position) const;

 private:
  using Candidates = std::vector<std::pair<int, double>>;
  // These say what penalties do to a logit, and which tokens of history are
  // recent.
  float Penalised(float logit) const;
  Vector<const int> Recent(Vector<const int> history) const;
  // Returns the best of the penalized row that are certain to be, best first.
  std::vector<TokenLogit> PenalisedTop(const RowTop& top,
                                       Vector<const int> history) const;
  // Filter returns those of these tokens, best first, that all filters leave,
  // with their probabilities. `sum` is of all that top-k leaves, relative to
  // the best; where these are not all of them, it returns nothing if that takes
  // more.
  struct WeightSum {
    double least = 0.0, most = 0.0;  // bounds
    bool of_all = false;             // these are all, the sum is their own
  };
  std::optional<Candidates> Filter(Vector<const TokenLogit> best,
                                   WeightSum sum) const;
  int Draw(const Candidates& candidates, int64_t position) const;

  SamplingConfig config_;
};

}  // namespace subgen
