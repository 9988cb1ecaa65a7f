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
// So many of the best are looked at where top-p or min-p cut.
constexpr int64_t kTopOfMass = 128;

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

std::vector<TokenLogit> TopLogits(const RowTop& top, int n) {
  std::vector<TokenLogit> best;
  for (const TopNumber& number : top.best) {
    if (static_cast<int>(best.size()) == n) break;
    best.push_back({number.column, number.value});
  }
  return best;
}

double NegativeLogLikelihood(Vector<const float> logits, int token) {
  // Exponentials of differences from the largest logit cannot overflow.
  const double max = *std::max_element(logits.begin(), logits.end());
  double sum = 0.0;
  for (const float logit : logits) sum += std::exp(logit - max);
  return std::log(sum) + max - logits[token];
}

Vector<const int> Sampler::Recent(Vector<const int> history) const {
  return history.last(
      std::min<size_t>(config_.repetition_window, history.size()));
}

float Sampler::Penalised(float logit) const {
  const float penalty = static_cast<float>(config_.repetition_penalty);
  return logit > 0 ? logit / penalty : logit * penalty;
}

std::optional<Sampler::Candidates> Sampler::Filter(
    Vector<const TokenLogit> best, WeightSum sum) const {
  Candidates candidates;
  double own_sum = 0.0;
  for (const TokenLogit& each : best) {
    const double top = best[0].logit;
    const double weight = std::exp((each.logit - top) / config_.temperature);
    candidates.emplace_back(each.token, weight);
    own_sum += weight;
  }
  if (sum.of_all) sum.least = sum.most = own_sum;
  // The first weight is 1, so min_p is a bound on the weight itself.
  double mass = 0.0;
  size_t count = 0;
  bool ends = false;
  while (count < candidates.size() && !ends) {
    ends = mass >= config_.top_p * sum.most ||
           candidates[count].second < config_.min_p;
    if (ends) break;
    // The sum of all weights is known within its error. A cut that lies within
    // it is decided by the whole row.
    if (mass >= config_.top_p * sum.least) return std::nullopt;
    mass += candidates[count++].second;
  }
  // No cut was met, so tokens that are not here may stay, too.
  if (!ends && !sum.of_all) return std::nullopt;
  candidates.resize(std::max<size_t>(count, 1));
  for (auto& [token, weight] : candidates) weight /= mass;
  return candidates;
}

int Sampler::Draw(const Candidates& candidates, int64_t position) const {
  const double draw =
      // The draw is a function of seed and position, so it does not depend on
      // other sequences or on how many draws there were.
      CounterRandom(config_.seed, kSamplerLayer, 0, position).Uniform(0);
  double mass = 0.0;
  for (const auto& [token, probability] : candidates) {
    mass += probability;
    if (draw < mass) return token;
  }
  // Probabilities add up to 1 but for rounding, so the draw may lie beyond
  // their sum.
  return candidates.back().first;
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
  if (config_.repetition_penalty != 1.0) {
    const Vector<const int> recent = Recent(history);
    for (const int token : std::set<int>(recent.begin(), recent.end())) {
      penalised[token] = Penalised(penalised[token]);
    }
  }
  if (config_.temperature == 0.0) return TopLogits(penalised, 1)[0].token;
  const int keep =
      config_.top_k > 0 ? config_.top_k : static_cast<int>(logits.size());
  WeightSum sum;
  sum.of_all = true;
  return Draw(*Filter(TopLogits(penalised, keep), sum), position);
}

std::optional<TopNeed> Sampler::Need() const {
  const bool penalises = config_.repetition_penalty != 1.0;
  TopNeed need;
  if (config_.temperature != 0.0) {
    need.most = config_.top_k > 0 ? config_.top_k : kTopOfMass;
    // The sum is of what penalties leave, and of use where something is cut.
    const bool cuts = config_.top_p < 1.0 || config_.min_p > 0.0;
    if (config_.top_k == 0 && (penalises || !cuts)) return std::nullopt;
    if (config_.top_k == 0) {
      need.scale = static_cast<float>(1.0 / config_.temperature);
    }
  }
  // The best after penalties are among so many before them, if none is raised.
  if (config_.repetition_penalty < 1.0) return std::nullopt;
  if (penalises) need.most += config_.repetition_window;
  if (need.most > kMostTop) return std::nullopt;
  return need;
}

std::vector<TokenLogit> Sampler::PenalisedTop(const RowTop& top,
                                              Vector<const int> history) const {
  std::vector<TopNumber> best = top.best;
  if (config_.repetition_penalty != 1.0) {
    const Vector<const int> recent = Recent(history);
    const std::set<int> tokens(recent.begin(), recent.end());
    for (TopNumber& number : best) {
      if (tokens.contains(number.column)) {
        number.value = Penalised(number.value);
      }
    }
    std::sort(best.begin(), best.end(), IsBefore);
  }
  std::vector<TokenLogit> certain;
  for (const TopNumber& number : best) {
    // What is not in the top comes after the last of it.
    if (!top.whole() && IsBefore(top.best.back(), number)) break;
    certain.push_back({number.column, number.value});
  }
  return certain;
}

std::optional<int> Sampler::SampleTop(const RowTop& top,
                                      Vector<const int> history,
                                      int64_t position) const {
  if (!top.finite) return std::nullopt;
  std::vector<TokenLogit> best = PenalisedTop(top, history);
  if (best.empty()) return std::nullopt;
  if (config_.temperature == 0.0) return best[0].token;
  WeightSum sum;
  if (config_.top_k > 0) {
    const size_t keep = std::min<int64_t>(config_.top_k, top.columns);
    if (best.size() < keep) return std::nullopt;
    best.resize(keep);
    sum.of_all = true;
  } else {
    sum.of_all = top.whole();
    if (!sum.of_all && !(top.sum >= 0.5)) return std::nullopt;  // no number
    sum.least = top.sum * (1.0 - 2.0 * kTopSumError);
    sum.most = top.sum * (1.0 + 2.0 * kTopSumError);
  }
  const std::optional<Candidates> candidates = Filter(best, sum);
  if (!candidates) return std::nullopt;
  return Draw(*candidates, position);
}

}  // namespace subgen
