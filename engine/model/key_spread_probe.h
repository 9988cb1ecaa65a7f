// This measures how far the keys of each KV head spread, by what a model does
// with random tokens.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "comm/communicator.h"
#include "engine/cache/forwarding_policy.h"
#include "kernels/backend.h"
#include "kernels/memory/hadamard.h"

namespace subgen {

// These are sums over the keys of one KV head, [2 * head_dim + 2]: of unit
// keys, of keys, of squared lengths, and how many there are. They add up over
// ranks.
inline int64_t KeySumsSize(int64_t head_dim) { return 2 * head_dim + 2; }

// Returns (1 - |mean unit key|^2) * sqrt(mean |key - mean key|^2), from the
// sums.
double KeySpread(Vector<const float> sums);

// Returns token `i` of those that are measured: ids at random, low ones (which
// mergers made first, so the frequent ones) more often, as 1 / id.
inline constexpr int64_t kMeasuredTokens = 256;
int MeasuredToken(int64_t i, int64_t vocabulary);

// A probe is an exact cache of one layer that sums up the keys it is given, as
// if the tokens came again and again, up to the end of the context.
class KeySpreadProbe final : public ForwardingPolicy {
 public:
  // `transform` is what keys went through before they came here, or null.
  KeySpreadProbe(std::unique_ptr<CachePolicy> exact, const CacheShape& shape,
                 const HadamardTransform* transform, Backend& backend);

  void Append(const LayerStep& step) override;

  // Returns the sums of a local KV head.
  std::vector<float> Sums(int head) const;

 private:
  void Count(Matrix<const float> keys, std::vector<double>* sums) const;

  const CacheShape shape_;
  const HadamardTransform* const transform_;
  Backend& backend_;
  std::vector<std::vector<double>> sums_;  // [kv_heads]
};

// These are the probes of all layers, which the caches own that Factory makes.
// They are to be read while those caches live.
class KeySpreadProbes {
 public:
  // `transform` is as a probe's; it outlives the probes.
  explicit KeySpreadProbes(const HadamardTransform* transform)
      : transform_(transform) {}

  // Makes a probe of each layer, in their order. What it is asked for must be
  // an exact cache.
  PolicyFactory Factory();

  // Returns the spreads of all [layers * kv_heads], the KV heads of the model.
  // The call is collective.
  std::vector<double> Spreads(int64_t kv_heads, Communicator& world) const;

 private:
  struct Probed {
    KeySpreadProbe* probe;
    CacheShape shape;
  };
  const HadamardTransform* const transform_;
  std::vector<Probed> layers_;
};

}  // namespace subgen
