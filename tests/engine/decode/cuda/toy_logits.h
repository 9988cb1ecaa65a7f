// These are logits of a small random model, whatever runs it.
#pragma once

#include <string>
#include <vector>

#include "tests/support/small_cache.h"

namespace subgen {

// Reads a prompt in chunks, then tokens one by one.
struct ToyReading {
  std::string backend;
  CacheConfig cache;
  int ranks = 1;
  int64_t chunk = 16;
  int64_t prompt = 70, tokens = 90;
  int64_t head_dim = 16;
};

using Logits = std::vector<std::vector<float>>;  // [tokens][vocabulary]
Logits ReadToyModel(const ToyReading& reading);

double LargestDifference(const std::vector<float>& a,
                         const std::vector<float>& b);
double LargestDifference(const Logits& a, const Logits& b);

}  // namespace subgen
