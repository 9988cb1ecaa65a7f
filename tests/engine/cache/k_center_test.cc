#include <set>

#include "engine/cache/farthest_first.h"
#include "tests/engine/cache/cache_driver.h"

namespace subgen::testing {
namespace {

constexpr int64_t kDim = 6;

double Squared(const Floats& a, const Floats& b) {
  double sum = 0.0;
  for (size_t i = 0; i < a.size(); ++i) {
    sum +=
        (static_cast<double>(a[i]) - b[i]) * (static_cast<double>(a[i]) - b[i]);
  }
  return sum;
}

// The stream rule with all distances at every step.
struct DirectCenters {
  struct Center {
    int64_t position;
    Floats key;
    int64_t count;
  };
  std::vector<Center> centers;

  double Rest(size_t i, size_t partner) const {
    double rest = INFINITY;
    for (size_t j = 0; j < centers.size(); ++j) {
      if (j == i || j == partner) continue;
      rest = std::min(rest, Squared(centers[i].key, centers[j].key));
    }
    return rest;
  }
  void Insert(int64_t position, const Floats& key, size_t limit) {
    centers.push_back({position, key, 1});
    if (centers.size() <= limit) return;
    size_t a = 0, b = 1;
    for (size_t i = 0; i < centers.size(); ++i) {
      for (size_t j = i + 1; j < centers.size(); ++j) {
        if (Squared(centers[i].key, centers[j].key) <
            Squared(centers[a].key, centers[b].key)) {
          a = i;
          b = j;
        }
      }
    }
    if (Rest(a, b) < Rest(b, a)) std::swap(a, b);  // b goes
    centers[a].count += centers[b].count;
    centers.erase(centers.begin() + b);
  }
};

CacheConfig Weighted(int64_t budget, const char* when) {
  CacheConfig config = Config("subgen", budget);
  config.when = when;
  config.subgen.count_exponent = 1.0;
  return config;
}

// Positions of the sketch with their counts, from the biases.
std::vector<std::pair<int64_t, int64_t>> Counts(CacheDriver& driver, int head,
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

void ExpectAsDirect(const CacheConfig& config, const Stream& stream,
                    int64_t tokens, int chunk) {
  CacheDriver driver(config, Shape(kDim, 100000), stream);
  const size_t limit = config.budget_tokens - 10;
  std::vector<DirectCenters> direct(2);
  int64_t left = 2;
  while (driver.next(0) < tokens) {
    driver.Feed(0, chunk);
    for (; left < driver.next(0) - 8; ++left) {
      for (int head = 0; head < 2; ++head) {
        direct[head].Insert(left, stream.key(head, left), limit);
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

TEST(KCenter, StreamKeepsWhatBruteForceKeeps) {
  for (const uint64_t seed : {1, 2, 3}) {
    ExpectAsDirect(Weighted(30, "stream"), TaggedStream(seed, kDim), 400, 1);
    ExpectAsDirect(Weighted(30, "stream"), TaggedStream(seed, kDim), 400, 47);
  }
  ExpectAsDirect(Weighted(12, "stream"), TaggedStream(5, kDim), 200, 13);
  ExpectAsDirect(Weighted(11, "stream"), TaggedStream(5, kDim), 100, 13);
}

// Lazy neighbours: a token needs its own distances and few more.
TEST(KCenter, StreamNeedsFewDistancesAToken) {
  constexpr int64_t kCenters = 100, kTokens = 2000;
  CacheShape shape = Shape(kDim, 100000);
  shape.kv_heads = 1;
  CacheDriver driver(Config("subgen", 10 + kCenters), shape,
                     TaggedStream(1, kDim));
  driver.FeedAll(kTokens, 1);
  const double passes =
      static_cast<double>(driver.backend().distances) / kCenters / kTokens;
  RecordProperty("distance_passes_a_token", std::to_string(passes));
  EXPECT_GE(passes, 0.9);
  EXPECT_LE(passes, 1.5);
}

TEST(KCenter, CountsSumToTheTokensThatLeft) {
  for (const char* when : {"stream", "once"}) {
    CacheDriver driver(Weighted(40, when), Shape(kDim, 100000),
                       TaggedStream(3, kDim));
    driver.FeedAll(300, 50, true);
    for (int i = 0; i < 50; ++i) {
      driver.Feed(0, 3);
      int64_t sum = 0;
      for (const auto& [position, count] : Counts(driver, 0, 8)) sum += count;
      ASSERT_EQ(sum, driver.next(0) - 10) << when;
    }
  }
}

TEST(KCenter, CopiesOfOneKeyAreOneCenter) {
  Stream stream = TaggedStream(1, kDim);
  stream.key = [](int, int64_t position) {
    return Floats(kDim, static_cast<float>(position % 5));
  };
  for (const char* when : {"stream", "once"}) {
    CacheDriver driver(Weighted(10 + 8, when), Shape(kDim, 100000), stream);
    driver.FeedAll(210, 30, true);
    std::set<float> keys;
    for (const SeenRow& row : driver.Seen(0, 0)) {
      const int64_t position = std::llround(row.value[0]);
      if (position >= 2 && position < 202) keys.insert(row.key[0]);
    }
    EXPECT_EQ(keys.size(), 5u) << when;
  }
}

TEST(KCenter, WeightIsThePartOfTheLogCountThatIsSet) {
  CacheConfig half = Weighted(20, "stream"), none = half;
  half.subgen.count_exponent = 0.5;
  none.subgen.count_exponent = 0.0;
  const Stream stream = TaggedStream(3, kDim);
  CacheDriver whole(Weighted(20, "stream"), Shape(kDim, 1000), stream);
  CacheDriver halved(half, Shape(kDim, 1000), stream);
  CacheDriver plain(none, Shape(kDim, 1000), stream);
  for (CacheDriver* driver : {&whole, &halved, &plain}) driver->FeedAll(90, 9);
  const auto want = whole.Seen(0, 0), got = halved.Seen(0, 0),
             zero = plain.Seen(0, 0);
  ASSERT_EQ(want.size(), got.size());
  for (size_t i = 0; i < want.size(); ++i) {
    EXPECT_FLOAT_EQ(got[i].value_bias, 0.5f * want[i].value_bias);
    EXPECT_EQ(zero[i].value_bias, 0.0f);
  }
}

// Farthest first over all of the middle, by hand.
std::vector<int64_t> DirectFarthestFirst(const std::vector<Floats>& keys,
                                         size_t k) {
  std::vector<int64_t> chosen = {0};
  while (chosen.size() < k) {
    int64_t best = 0;
    double farthest = -1.0;
    for (size_t i = 0; i < keys.size(); ++i) {
      double nearest = INFINITY;
      for (const int64_t c : chosen) {
        nearest = std::min(nearest, Squared(keys[i], keys[c]));
      }
      if (nearest > farthest) {
        farthest = nearest;
        best = i;
      }
    }
    chosen.push_back(best);
  }
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

// How many keys are nearest to each of the chosen ones.
std::vector<int64_t> DirectCounts(const std::vector<Floats>& keys,
                                  const std::vector<int64_t>& chosen) {
  std::vector<int64_t> counts(chosen.size());
  for (const Floats& key : keys) {
    size_t nearest = 0;
    for (size_t c = 1; c < chosen.size(); ++c) {
      if (Squared(key, keys[chosen[c]]) < Squared(key, keys[chosen[nearest]])) {
        nearest = c;
      }
    }
    ++counts[nearest];
  }
  return counts;
}

TEST(KCenter, OnceKeepsAllOfThePromptAndThenItsFarthestFirstCenters) {
  const Stream stream = TaggedStream(12, kDim);
  CacheDriver driver(Weighted(30, "once"), Shape(kDim, 100000), stream);
  driver.FeedAll(150, 40);
  EXPECT_EQ(driver.Kept(0, 1).size(), 150u);
  driver.Feed(0, 50, true);
  std::vector<Floats> keys;
  for (int64_t p = 2; p < 192; ++p) keys.push_back(stream.key(1, p));
  std::vector<int64_t> centers, counts;
  for (const auto& [position, count] : Counts(driver, 1, 8)) {
    centers.push_back(position - 2);
    counts.push_back(count);
  }
  EXPECT_EQ(centers, DirectFarthestFirst(keys, 20));
  EXPECT_EQ(counts, DirectCounts(keys, centers));
  driver.FeedAll(300, 1);  // from here in the stream
  EXPECT_EQ(driver.Kept(0, 1).size(), 30u);
}

TEST(KCenter, PromptThatFitsIsNotCompressedByOnce) {
  CacheDriver driver(Weighted(30, "once"), Shape(kDim, 100000),
                     TaggedStream(12, kDim));
  driver.FeedAll(25, 25, true);
  EXPECT_EQ(driver.Kept(0, 0).size(), 25u);
}

// Gonzalez: no choice of k centres covers with less than half of its radius.
// Small enough to try all choices.
TEST(FarthestFirst, RadiusIsAtMostTwiceTheSmallest) {
  constexpr int kPoints = 12, kCenters = 3;
  const auto backend = MakeReferenceBackend();
  for (int seed = 0; seed < 50; ++seed) {
    Floats all;
    std::vector<Floats> points;
    for (int i = 0; i < kPoints; ++i) {
      points.push_back(RandomRow(seed, 0, 0, i, 2));
      all.insert(all.end(), points[i].begin(), points[i].end());
    }
    const auto radius = [&](const std::vector<int64_t>& centers) {
      double widest = 0.0;
      for (const Floats& point : points) {
        double nearest = INFINITY;
        for (const int64_t c : centers) {
          nearest = std::min(nearest, Squared(point, points[c]));
        }
        widest = std::max(widest, nearest);
      }
      return std::sqrt(widest);
    };
    double best = INFINITY;
    for (int64_t a = 0; a < kPoints; ++a) {
      for (int64_t b = a; b < kPoints; ++b) {
        for (int64_t c = b; c < kPoints; ++c) {
          best = std::min(best, radius({a, b, c}));
        }
      }
    }
    const Centers got =
        FarthestFirst(FloatRows({all.data(), kPoints, 2}), kCenters, *backend);
    EXPECT_LE(radius(got.rows), 2.0 * best * (1.0 + 0x1p-20));
  }
}

}  // namespace
}  // namespace subgen::testing
