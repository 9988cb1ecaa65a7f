#include "engine/decode/sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "absl/strings/str_cat.h"
#include "kernels/base/random.h"

namespace subgen {
namespace {

constexpr int kSamplerLayer = 65535;  // a stream of its own, of no layer

}  // namespace

std::vector<TokenLogit> TopLogits(Vector<const float> logits, int n) {
  std::vector<int> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  const size_t count = std::min<size_t>(n, logits.size());
  std::partial_sort(
      order.begin(), order.begin() + count, order.end(), [&](int a, int b) {
        return logits[a] != logits[b] ? logits[a] > logits[b] : a < b;
      });
  std::vector<TokenLogit> top;
  for (size_t i = 0; i < count; ++i) {
    top.push_back({order[i], logits[order[i]]});
  }
  return top;
}

double NegativeLogLikelihood(Vector<const float> logits, int token) {
  const double max = *std::max_element(logits.begin(), logits.end());
  double sum = 0.0;
  for (const float logit : logits) sum += std::exp(logit - max);
  return std::log(sum) + max - logits[token];
}

void Sampler::Penalise(Vector<const int> history, Vector<float> logits) const {
  const size_t window =
      std::min<size_t>(config_.repetition_window, history.size());
  const Vector<const int> recent = history.last(window);
  const float penalty = static_cast<float>(config_.repetition_penalty);
  for (const int token : std::set<int>(recent.begin(), recent.end())) {
    logits[token] =
        logits[token] > 0 ? logits[token] / penalty : logits[token] * penalty;
  }
}

std::vector<std::pair<int, double>> Sampler::Candidates(
    Vector<const float> logits) const {
  const int keep =
      config_.top_k > 0 ? config_.top_k : static_cast<int>(logits.size());
  std::vector<std::pair<int, double>> candidates;
  double sum = 0.0;
  for (const TokenLogit& best : TopLogits(logits, keep)) {
    const double top =
        candidates.empty() ? best.logit : logits[candidates[0].first];
    const double weight = std::exp((best.logit - top) / config_.temperature);
    candidates.emplace_back(best.token, weight);
    sum += weight;
  }
  // The first weight is 1, so min_p is a bound on the weight itself.
  double mass = 0.0;
  size_t count = 0;
  while (count < candidates.size() && mass < config_.top_p * sum &&
         candidates[count].second >= config_.min_p) {
    mass += candidates[count++].second;
  }
  candidates.resize(std::max<size_t>(count, 1));
  for (auto& [token, weight] : candidates) weight /= mass;
  return candidates;
}

absl::StatusOr<int> Sampler::Sample(Vector<const float> logits,
                                    Vector<const int> history,
                                    int64_t position) const {
  for (const float logit : logits) {
    if (!std::isfinite(logit)) {
      return absl::DataLossError(absl::StrCat(
          "the model gives a logit of ", logit, " at position ", position,
          ": its weights or a setting of its scale must be damaged"));
    }
  }
  std::vector<float> penalised(logits.begin(), logits.end());
  if (config_.repetition_penalty != 1.0) Penalise(history, penalised);
  if (config_.temperature == 0.0) return TopLogits(penalised, 1)[0].token;

  const auto candidates = Candidates(penalised);
  const double draw =
      CounterRandom(config_.seed, kSamplerLayer, 0, position).Uniform(0);
  double mass = 0.0;
  for (const auto& [token, probability] : candidates) {
    mass += probability;
    if (draw < mass) return token;
  }
  return candidates.back().first;
}

}  // namespace subgen
