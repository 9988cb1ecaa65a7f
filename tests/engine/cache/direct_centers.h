// These are the rules of SubGen's centers with all distances and means at every
// step.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "tests/engine/cache/cache_driver.h"

namespace subgen::testing {

constexpr int64_t kDim = 6;

inline double Squared(const Floats& a, const Floats& b) {
  double sum = 0.0;
  for (size_t i = 0; i < a.size(); ++i) {
    sum +=
        (static_cast<double>(a[i]) - b[i]) * (static_cast<double>(a[i]) - b[i]);
  }
  return sum;
}

inline double Length(const Floats& row) {
  return std::sqrt(Squared(row, Floats(row.size())));
}

inline Floats Direction(const Floats& row) {
  Floats unit;
  for (const float x : row) unit.push_back(x / Length(row));
  return unit;
}

// Computes squared distances and weights by their definitions, with all means
// anew.
struct DirectMetric {
  std::string name = "key";
  int exponent = 0;
  std::vector<Floats> keys = {}, values = {};  // of all that entered

  double Distance(size_t i, size_t j) const {
    if (name == "key") return Squared(keys[i], keys[j]);
    if (name == "value") return Squared(values[i], values[j]);
    double scale = 0.0;
    for (const Floats& value : values) {
      scale += Length(value) * Length(value) / values.size();
    }
    return Squared(Direction(keys[i]), Direction(keys[j])) +
           Squared(values[i], values[j]) / scale;
  }
  double Weight(size_t i) const {
    Floats mean(keys[0].size());
    for (const Floats& key : keys) {
      const Floats unit = Direction(key);
      for (size_t k = 0; k < mean.size(); ++k) mean[k] += unit[k];
    }
    const double cosine =
        1.0 - 0.5 * Squared(Direction(keys[i]), Direction(mean));
    return std::pow(1.0 - cosine, 2 * exponent);
  }
};

// This is the stream rule with all distances at every step.
struct DirectCenters {
  DirectMetric metric;
  struct Center {
    size_t token;  // index in `metric`
    int64_t position;
    int64_t count;
  };
  std::vector<Center> centers;

  size_t Nearest(size_t i, size_t except) const {
    size_t nearest = i == 0 ? 1 : 0;
    double least = INFINITY;
    for (size_t j = 0; j < centers.size(); ++j) {
      if (j == i || j == except) continue;
      const double d = metric.Distance(centers[i].token, centers[j].token);
      if (d >= least) continue;
      least = d;
      nearest = j;
    }
    return nearest;
  }
  double Distance(size_t i, size_t j) const {
    return metric.Distance(centers[i].token, centers[j].token);
  }
  double Rest(size_t i, size_t partner) const {
    return centers.size() > 2 ? Distance(i, Nearest(i, partner)) : INFINITY;
  }
  void Insert(int64_t position, const Floats& key, const Floats& value,
              size_t limit) {
    while (centers.size() > limit) DropLeast();  // a limit that came down
    metric.keys.push_back(key);
    metric.values.push_back(value);
    centers.push_back({metric.keys.size() - 1, position, 1});
    if (centers.size() > limit) DropLeast();
  }
  void DropLeast() {
    size_t drop = 0;
    double least = INFINITY;
    for (size_t i = 0; i < centers.size(); ++i) {
      const double score = metric.Weight(centers[i].token) *
                           Distance(i, Nearest(i, centers.size()));
      if (score >= least) continue;
      least = score;
      drop = i;
    }
    size_t heir = Nearest(drop, centers.size());
    if (metric.exponent == 0) {  // of the pair, the one nearer to the rest goes
      if (heir < drop) std::swap(heir, drop);
      if (!(Rest(drop, heir) < Rest(heir, drop))) std::swap(heir, drop);
    }
    centers[heir].count += centers[drop].count;
    centers.erase(centers.begin() + drop);
  }
};

inline CacheConfig Weighted(int64_t budget, const char* when) {
  CacheConfig config = Config("subgen", budget);
  config.when = when;
  config.subgen.count_exponent = 1.0;
  config.subgen.metric = "key";
  config.subgen.distinctiveness_exponent = 0;
  return config;
}

// Returns the positions of the sketch with their counts, from the biases.
inline std::vector<std::pair<int64_t, int64_t>> Counts(CacheDriver& driver,
                                                       int head,
                                                       int64_t recent) {
  std::vector<std::pair<int64_t, int64_t>> counts;
  for (const SeenRow& row : driver.Seen(0, head)) {
    const int64_t position = std::llround(row.value[0]);
    if (position < 2 || position >= driver.next(0) - recent) continue;
    EXPECT_EQ(row.partition_bias, row.value_bias);
    counts.push_back({position, std::llround(std::exp(row.value_bias))});
  }
  std::sort(counts.begin(), counts.end());
  return counts;
}

// Values are tagged and of one length, so that the scale of their distances
// stays.
inline Stream EvenStream(uint64_t seed) {
  Stream stream = TaggedStream(seed, kDim);
  stream.value = [](int, int64_t position) {
    constexpr float kLength = 300.0f;
    Floats value(kDim);
    value[0] = static_cast<float>(position);
    value[1] = std::sqrt(kLength * kLength - value[0] * value[0]);
    return value;
  };
  return stream;
}

// Returns the rows that the heads may hold beside their windows, when so many
// tokens left these.
using LimitOf = std::function<size_t(int head, int64_t entered)>;

inline void ExpectAsDirect(CacheDriver& driver, const CacheConfig& config,
                           const Stream& stream, const LimitOf& limit,
                           const std::pair<int64_t, int>& tokens_by_chunk) {
  const auto [tokens, chunk] = tokens_by_chunk;
  const DirectMetric metric = {config.subgen.metric,
                               config.subgen.distinctiveness_exponent};
  std::vector<DirectCenters> direct(2, {metric, {}});
  int64_t left = 2;  // behind the sinks
  while (driver.next(0) < tokens) {
    driver.Feed(0, chunk);
    for (; left < driver.next(0) - 8; ++left) {
      for (int head = 0; head < 2; ++head) {
        direct[head].Insert(left, stream.key(head, left),
                            stream.value(head, left), limit(head, left - 1));
      }
    }
    for (int head = 0; head < 2; ++head) {
      std::vector<std::pair<int64_t, int64_t>> want;
      for (const auto& center : direct[head].centers) {
        want.push_back({center.position, center.count});
      }
      std::sort(want.begin(), want.end());
      ASSERT_EQ(Counts(driver, head, 8), want) << driver.next(0);
    }
  }
}

}  // namespace subgen::testing
