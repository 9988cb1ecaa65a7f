// How the memory for what left the windows is shared over the KV heads of a
// model (cache.head_budgets: spread). A head whose keys hardly differ can tell
// few tokens apart, so it loses little with its rows; one whose keys point
// everywhere and are long picks single tokens, and needs them. Measured once,
// when the engine is made, by what the model does with random tokens: the same
// shares for every prompt, rank and size of chunks.
#pragma once

#include <memory>
#include <vector>

#include "engine/cache/forwarding_policy.h"
#include "kernels/memory/hadamard.h"

namespace subgen {

// Sums over the keys of one KV head, [2 * head_dim + 2]: of unit keys, of keys,
// of squared lengths, and how many there are. They add up over ranks.
inline int64_t KeySumsSize(int64_t head_dim) { return 2 * head_dim + 2; }

// (1 - |mean unit key|^2) * sqrt(mean |key - mean key|^2), from the sums.
double KeySpread(Vector<const float> sums);

// Share of each head, their mean at most 1, none over `most` (>= 1): a tenth,
// and of the rest in proportion to spread^5. All 1 where a spread is no number
// or none is positive.
std::vector<double> SharesBySpreads(const std::vector<double>& spreads,
                                    double most);

// The shares while a sequence grows to `most` times the mean of the limits: no
// head may hold more than there is, and what it cannot use is for the others.
std::vector<HeadShares> SharesOverTime(const std::vector<double>& spreads,
                                       double most);

// Token `i` of those that are measured: ids at random, low ones (which mergers
// made first, so the frequent ones) more often, as 1 / id.
inline constexpr int64_t kMeasuredTokens = 256;
int MeasuredToken(int64_t i, int64_t vocabulary);

// An exact cache of one layer that sums up the keys it is given, as if the
// tokens came again and again, up to the end of the context.
class KeySpreadProbe final : public ForwardingPolicy {
 public:
  // `transform`: what keys went through before they came here.
  KeySpreadProbe(std::unique_ptr<CachePolicy> exact, const CacheShape& shape,
                 const HadamardTransform* transform, Backend& backend);

  void Append(const LayerStep& step) override;

  // Of a local KV head.
  std::vector<float> Sums(int head) const;

 private:
  void Count(Matrix<const float> keys, std::vector<double>* sums) const;

  const CacheShape shape_;
  const HadamardTransform* const transform_;
  Backend& backend_;
  std::vector<std::vector<double>> sums_;  // [kv_heads]
};

}  // namespace subgen
