// From logits to a token: repetition penalty, temperature, top-k, top-p, min-p,
// then a draw. Temperature 0 takes the best token.
#pragma once

#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/config/engine_config.h"
#include "kernels/memory/view.h"

namespace subgen {

struct TokenLogit {
  int token = 0;
  float logit = 0.0f;
};

// The n largest, best first; equal logits in order of id.
std::vector<TokenLogit> TopLogits(Vector<const float> logits, int n);

// -log softmax(logits)[token], in nats.
double NegativeLogLikelihood(Vector<const float> logits, int token);

class Sampler {
 public:
  explicit Sampler(const SamplingConfig& config) : config_(config) {}

  // history: the sequence so far. The draw is a function of (seed, position)
  // alone. An error where logits are not finite, as of a damaged model.
  absl::StatusOr<int> Sample(Vector<const float> logits,
                             Vector<const int> history, int64_t position) const;

 private:
  void Penalise(Vector<const int> history, Vector<float> logits) const;
  // Candidates, best first, with their probabilities, after all filters.
  std::vector<std::pair<int, double>> Candidates(
      Vector<const float> logits) const;

  SamplingConfig config_;
};

}  // namespace subgen
