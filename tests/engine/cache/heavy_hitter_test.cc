#include <algorithm>
#include <set>

#include "tests/engine/cache/cache_driver.h"

namespace subgen::testing {
namespace {

constexpr int64_t kDim = 8;

// This is H2O with whole matrices: the probabilities of each chunk's queries
// over all that is kept and the causal chunk are summed into scores; then rows
// are evicted.
class DirectHeavyHitter {
 public:
  DirectHeavyHitter(const Stream& stream, int head, int group,
                    const CacheConfig& config)
      : stream_(stream), head_(head), group_(group), config_(config) {}

  void Chunk(int64_t first, int64_t count) {
    std::vector<int64_t> all = kept_;
    for (int64_t i = 0; i < count; ++i) all.push_back(first + i);
    score_.resize(first + count, 0.0);
    for (int64_t at = first; at < first + count; ++at) {
      for (int g = 0; g < group_; ++g) AddProbabilities(at, g, all);
    }
    kept_ = all;
    while (static_cast<int64_t>(kept_.size()) > config_.budget_tokens) {
      DropLowest(first + count);
    }
  }
  std::vector<int64_t> kept() const { return kept_; }

 private:
  void AddProbabilities(int64_t at, int g, const std::vector<int64_t>& all) {
    const Floats query = stream_.query(head_ * group_ + g, at);
    std::vector<double> weight(all.size());
    double partition = 0.0;
    for (size_t j = 0; j < all.size() && all[j] <= at; ++j) {
      const Floats key = stream_.key(head_, all[j]);
      double logit = 0.0;
      for (int64_t c = 0; c < kDim; ++c) logit += query[c] * key[c];
      partition += weight[j] = std::exp(logit);
    }
    for (size_t j = 0; j < all.size(); ++j) {
      score_[all[j]] += weight[j] / partition;
    }
  }
  void DropLowest(int64_t next) {
    auto lowest = kept_.end();
    for (auto it = kept_.begin(); it != kept_.end(); ++it) {
      if (*it < config_.sink_tokens || *it >= next - config_.recent_tokens) {
        continue;
      }
      if (lowest == kept_.end() || score_[*it] < score_[*lowest]) lowest = it;
    }
    kept_.erase(lowest);
  }

  Stream stream_;
  int head_, group_;
  CacheConfig config_;
  std::vector<int64_t> kept_;
  std::vector<double> score_;
};

void ExpectSameAsDirect(const std::vector<int>& chunks) {
  const CacheConfig config = Config("heavy_hitter", 20);
  const CacheShape shape = Shape(kDim, 1000);
  Stream stream = TaggedStream(21, kDim);
  stream.query = RandomStream(21, kDim, 3.0f).query;
  CacheDriver driver(config, shape, stream);
  std::vector<DirectHeavyHitter> direct;
  for (int head = 0; head < shape.kv_heads; ++head) {
    direct.emplace_back(stream, head, shape.group, config);
  }
  for (const int count : chunks) {
    const int64_t first = driver.next(0);
    driver.Step({{0, count}});
    for (int head = 0; head < shape.kv_heads; ++head) {
      direct[head].Chunk(first, count);
      ASSERT_EQ(driver.Kept(0, head), direct[head].kept()) << first;
    }
  }
}

TEST(HeavyHitter, KeepsWhatWholeMatricesKeepTokenByToken) {
  ExpectSameAsDirect(std::vector<int>(120, 1));
}

TEST(HeavyHitter, KeepsWhatWholeMatricesKeepInChunks) {
  ExpectSameAsDirect({50, 1, 1, 30, 3, 70, 1});
}

// The first key draws all attention; the other scores are 0 in float.
TEST(HeavyHitter, OfEqualScoresTheOlderGoes) {
  Stream stream = TaggedStream(1, kDim);
  stream.key = [](int, int64_t position) {
    return Floats(kDim, position == 0 ? 100.0f : 0.0f);
  };
  stream.query = [](int, int64_t) { return Floats(kDim, 1.0f); };
  std::vector<int64_t> want = {0, 1};
  for (int64_t i = 48; i < 60; ++i) want.push_back(i);
  for (const int chunk : {1, 20}) {
    CacheDriver driver(Config("heavy_hitter", 14), Shape(kDim, 1000), stream);
    while (driver.next(0) < 60) driver.Step({{0, chunk}});
    EXPECT_EQ(driver.Kept(0, 0), want) << chunk;
  }
}

TEST(HeavyHitter, ScoresAreSumsSoThatOldTokensLead) {
  Stream stream = TaggedStream(1, kDim);
  stream.query = [](int, int64_t) { return Floats(kDim, 0.0f); };
  CacheDriver driver(Config("heavy_hitter", 14), Shape(kDim, 1000), stream);
  // One chunk has n equal logits: scores are 1/n + 1/(n-1) + ... by age, so the
  // sketch keeps the oldest; the two sinks and 8 recent tokens stay.
  driver.Step({{0, 30}});
  const std::vector<int64_t> want = {0,  1,  2,  3,  4,  5,  22,
                                     23, 24, 25, 26, 27, 28, 29};
  EXPECT_EQ(driver.Kept(0, 0), want);
}

TEST(HeavyHitter, TokenShardsScoreByTheWholePartition) {
  const CacheConfig config = Config("heavy_hitter", 40);
  CacheShape shape = Shape(kDim, 1000);
  shape.token_shards = 2;
  Stream stream = TaggedStream(8, kDim);
  // One token in each block of eight draws all queries.
  stream.key = [](int, int64_t position) {
    return Floats(kDim, position % 8 == 3 ? 1.0f : 0.0f);
  };
  stream.query = [](int, int64_t) { return Floats(kDim, 1.0f); };
  CacheDriver driver(config, shape, stream);
  for (int i = 0; i < 10; ++i) driver.Step({{0, 10}});
  const auto kept = driver.Kept(0, 0, 0);  // position % 8 < 4
  for (int64_t position = 3; position < 80; position += 8) {
    EXPECT_TRUE(std::binary_search(kept.begin(), kept.end(), position))
        << position;
  }
}

}  // namespace
}  // namespace subgen::testing
