#include <set>

#include "engine/cache/policies/subgen/farthest_first.h"
#include "tests/engine/cache/direct_centers.h"

namespace subgen::testing {
namespace {

void ExpectAsDirect(const CacheConfig& config, const Stream& stream,
                    int64_t tokens, int chunk) {
  CacheDriver driver(config, Shape(kDim, 100000), stream);
  const size_t limit = config.budget_tokens - 10;
  ExpectAsDirect(driver, config, stream, [&](int, int64_t) { return limit; },
                 {tokens, chunk});
}

TEST(KCenter, StreamKeepsWhatBruteForceKeeps) {
  for (const uint64_t seed : {1, 2, 3}) {
    ExpectAsDirect(Weighted(30, "stream"), TaggedStream(seed, kDim), 400, 1);
    ExpectAsDirect(Weighted(30, "stream"), TaggedStream(seed, kDim), 400, 47);
  }
  ExpectAsDirect(Weighted(12, "stream"), TaggedStream(5, kDim), 200, 13);
  ExpectAsDirect(Weighted(11, "stream"), TaggedStream(5, kDim), 100, 13);
}

TEST(KCenter, StreamKeepsWhatBruteForceKeepsInEveryMetric) {
  for (const char* metric : {"key", "value", "key_value"}) {
    for (const int exponent : {0, 1, 3}) {
      SCOPED_TRACE(absl::StrCat(metric, " ", exponent));
      CacheConfig config = Weighted(30, "stream");
      config.subgen.metric = metric;
      config.subgen.distinctiveness_exponent = exponent;
      ExpectAsDirect(config, EvenStream(7), 120, 1);
      ExpectAsDirect(config, EvenStream(7), 120, 47);
    }
  }
}

// Neighbors are lazy: a token needs its own distances and few more.
TEST(KCenter, StreamNeedsFewDistancesAToken) {
  constexpr int64_t kCenters = 100, kTokens = 2000;
  CacheShape shape = Shape(kDim, 100000);
  shape.kv_heads = 1;
  CacheDriver driver(Config("subgen", 10 + kCenters), shape,
                     TaggedStream(1, kDim));
  driver.FeedAll(kTokens, 1);
  constexpr double kParts = 2;  // of keys and of values
  const double passes = static_cast<double>(driver.backend().distances) /
                        kParts / kCenters / kTokens;
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

// Chooses farthest first over all of the middle, by hand.
std::vector<int64_t> DirectFarthestFirst(const DirectMetric& metric, size_t k) {
  const size_t count = metric.keys.size();
  std::vector<double> weights;
  for (size_t i = 0; i < count; ++i) weights.push_back(metric.Weight(i));
  std::vector<int64_t> chosen = {
      std::max_element(weights.begin(), weights.end()) - weights.begin()};
  while (chosen.size() < k) {
    int64_t best = 0;
    double farthest = -1.0;
    for (size_t i = 0; i < count; ++i) {
      double nearest = INFINITY;
      for (const int64_t c : chosen) {
        nearest = std::min(nearest, weights[i] * metric.Distance(i, c));
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

// Counts how many keys are nearest to each of the chosen ones.
std::vector<int64_t> DirectCounts(const DirectMetric& metric,
                                  const std::vector<int64_t>& chosen) {
  std::vector<int64_t> counts(chosen.size());
  for (size_t i = 0; i < metric.keys.size(); ++i) {
    size_t nearest = 0;
    for (size_t c = 1; c < chosen.size(); ++c) {
      if (metric.Distance(i, chosen[c]) < metric.Distance(i, chosen[nearest])) {
        nearest = c;
      }
    }
    ++counts[nearest];
  }
  return counts;
}

void ExpectOnceAsDirect(const CacheConfig& config) {
  const Stream stream = EvenStream(12);
  CacheDriver driver(config, Shape(kDim, 100000), stream);
  driver.FeedAll(150, 40);
  EXPECT_EQ(driver.Kept(0, 1).size(), 150u);
  driver.Feed(0, 50, true);
  DirectMetric metric = {config.subgen.metric,
                         config.subgen.distinctiveness_exponent};
  for (int64_t p = 2; p < 192; ++p) {
    metric.keys.push_back(stream.key(1, p));
    metric.values.push_back(stream.value(1, p));
  }
  std::vector<int64_t> centers, counts;
  for (const auto& [position, count] : Counts(driver, 1, 8)) {
    centers.push_back(position - 2);
    counts.push_back(count);
  }
  EXPECT_EQ(centers, DirectFarthestFirst(metric, 20));
  EXPECT_EQ(counts, DirectCounts(metric, centers));
  driver.FeedAll(280, 1);  // from here in the stream
  EXPECT_EQ(driver.Kept(0, 1).size(), 30u);
}

TEST(KCenter, OnceKeepsAllOfThePromptAndThenItsFarthestFirstCenters) {
  for (const char* metric : {"key", "value", "key_value"}) {
    for (const int exponent : {0, 3}) {
      SCOPED_TRACE(absl::StrCat(metric, " ", exponent));
      CacheConfig config = Weighted(30, "once");
      config.subgen.metric = metric;
      config.subgen.distinctiveness_exponent = exponent;
      ExpectOnceAsDirect(config);
    }
  }
}

TEST(KCenter, PromptThatFitsIsNotCompressedByOnce) {
  CacheDriver driver(Weighted(30, "once"), Shape(kDim, 100000),
                     TaggedStream(12, kDim));
  driver.FeedAll(25, 25, true);
  EXPECT_EQ(driver.Kept(0, 0).size(), 25u);
}

// By Gonzalez no choice of k centers covers with less than half of its radius.
// The case is small enough to try all choices.
TEST(FarthestFirst, RadiusIsAtMostTwiceTheSmallest) {
  constexpr int kPoints = 12, kCenters = 3;
  for (int seed = 0; seed < 50; ++seed) {
    std::vector<Floats> points;
    for (int i = 0; i < kPoints; ++i) {
      points.push_back(RandomRow(seed, 0, 0, i, 2));
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
    const auto distances_of = [&](int64_t row, Vector<float> squared) {
      for (int64_t i = 0; i < kPoints; ++i) {
        squared[i] = static_cast<float>(Squared(points[row], points[i]));
      }
    };
    const Centers got = FarthestFirst({kPoints, {}, distances_of}, kCenters);
    EXPECT_LE(radius(got.rows), 2.0 * best * (1.0 + 0x1p-20));
  }
}

}  // namespace
}  // namespace subgen::testing
