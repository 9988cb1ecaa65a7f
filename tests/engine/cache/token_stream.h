// These are made-up tokens, and attention over them by its definition.
#pragma once

#include <cmath>
#include <functional>
#include <vector>

#include "kernels/base/random.h"

namespace subgen::testing {

using Floats = std::vector<float>;

// Returns numbers in [-1, 1) that depend on their place alone.
inline Floats RandomRow(uint64_t seed, int kind, int head, int64_t position,
                        int64_t dim) {
  const CounterRandom random(seed, kind, head, position);
  Floats row(dim);
  for (int64_t i = 0; i < dim; ++i) {
    row[i] = static_cast<float>(2.0 * random.Uniform(i) - 1.0);
  }
  return row;
}

// This is what is appended: keys and values by (KV head, position), queries by
// (query head, position).
struct Stream {
  using Row = std::function<Floats(int head, int64_t position)>;
  Row key, value, query;
};

inline Stream RandomStream(uint64_t seed, int64_t dim, float query_scale = 1) {
  Stream stream;
  stream.key = [=](int head, int64_t position) {
    return RandomRow(seed, 0, head, position, dim);
  };
  stream.value = [=](int head, int64_t position) {
    return RandomRow(seed, 1, head, position, dim);
  };
  stream.query = [=](int head, int64_t position) {
    Floats row = RandomRow(seed, 2, head, position, dim);
    for (float& x : row) x *= query_scale;
    return row;
  };
  return stream;
}

// Makes the same stream with the position as the first number of the value, so
// that a row found in a cache can be told (in f32).
inline Stream TaggedStream(uint64_t seed, int64_t dim) {
  Stream stream = RandomStream(seed, dim);
  stream.value = [value = stream.value](int head, int64_t position) {
    Floats row = value(head, position);
    row[0] = static_cast<float>(position);
    return row;
  };
  return stream;
}

// Computes attention over given rows in double, by its definition.
inline std::vector<double> DirectAttention(const Floats& query,
                                           const std::vector<Floats>& keys,
                                           const std::vector<Floats>& values) {
  double partition = 0.0;
  std::vector<double> sum(query.size());
  for (size_t j = 0; j < keys.size(); ++j) {
    double logit = 0.0;
    for (size_t c = 0; c < query.size(); ++c) {
      logit += static_cast<double>(query[c]) * keys[j][c];
    }
    const double weight = std::exp(logit);
    partition += weight;
    for (size_t c = 0; c < sum.size(); ++c) sum[c] += weight * values[j][c];
  }
  for (double& x : sum) x /= partition;
  return sum;
}

}  // namespace subgen::testing
