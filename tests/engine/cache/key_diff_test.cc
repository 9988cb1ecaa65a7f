#include "engine/cache/budget.h"
#include "tests/engine/cache/cache_driver.h"

namespace subgen::testing {
namespace {

constexpr int64_t kDim = 8, kContext = 10000;

// This is KeyDiff by its definition, in double: cosines with the mean of all
// unit keys so far are computed again for each choice.
class DirectKeyDiff {
 public:
  explicit DirectKeyDiff(Stream stream) : stream_(std::move(stream)) {}

  void Enter(int64_t position) {
    const std::vector<double> key = Unit(position);
    for (int64_t c = 0; c < kDim; ++c) mean_[c] += key[c];
    kept_.push_back(position);
  }
  void Shrink(int64_t limit) {
    while (static_cast<int64_t>(kept_.size()) > limit) {
      auto most = kept_.begin();
      for (auto it = kept_.begin(); it != kept_.end(); ++it) {
        if (Along(*it) > Along(*most)) most = it;
      }
      kept_.erase(most);
    }
  }
  const std::vector<int64_t>& kept() const { return kept_; }

 private:
  std::vector<double> Unit(int64_t position) const {
    const Floats key = stream_.key(0, position);
    double squared = 0.0;
    for (const float x : key) squared += static_cast<double>(x) * x;
    std::vector<double> unit(key.begin(), key.end());
    for (double& x : unit) x /= std::sqrt(squared);
    return unit;
  }
  double Along(int64_t position) const {
    const std::vector<double> key = Unit(position);
    double dot = 0.0;
    for (int64_t c = 0; c < kDim; ++c) dot += key[c] * mean_[c];
    return dot;
  }

  Stream stream_;
  std::vector<double> mean_ = std::vector<double>(kDim);
  std::vector<int64_t> kept_;
};

// Keys share a direction and differ in length: 1 to 9 times.
Stream DriftingStream() {
  Stream stream = TaggedStream(31, kDim);
  stream.key = [key = stream.key](int head, int64_t position) {
    Floats row = key(head, position);
    row[0] += 0.5f;
    for (float& x : row) x *= static_cast<float>(1 + position * 7 % 9);
    return row;
  };
  return stream;
}

// Returns what is kept of `tokens` tokens, the first `prompt` of which are a
// prompt.
std::vector<int64_t> Direct(const CacheConfig& config, const CacheShape& shape,
                            int64_t tokens, int64_t prompt) {
  const TokenDealing dealing = {shape.token_shards, shape.token_shard,
                                shape.token_block};
  const int64_t limit =
      SketchRows(config, shape, config.budget_tokens, shape.token_shard);
  DirectKeyDiff direct(DriftingStream());
  std::vector<int64_t> window;
  for (int64_t next = 1; next <= tokens; ++next) {
    const int64_t leaving = next - 1 - config.recent_tokens;
    if (leaving >= config.sink_tokens && dealing.Owns(leaving)) {
      direct.Enter(leaving);
    }
    if (config.when == "stream" || next >= prompt) direct.Shrink(limit);
  }
  std::vector<int64_t> kept = direct.kept();
  for (int64_t p = 0; p < tokens; ++p) {
    const bool exact =
        p < config.sink_tokens || p >= tokens - config.recent_tokens;
    if (exact && dealing.Owns(p)) kept.push_back(p);
  }
  std::sort(kept.begin(), kept.end());
  return kept;
}

TEST(KeyDiff, KeepsWhatTheDefinitionKeeps) {
  for (const char* when : {"stream", "once"}) {
    for (const int shards : {1, 2}) {
      CacheConfig config = Config("key_diff", 50);
      config.when = when;
      CacheShape shape = Shape(kDim, kContext);
      shape.token_shards = shards;
      for (const int chunk : {1, 7, 100}) {
        CacheDriver driver(config, shape, DriftingStream());
        driver.FeedAll(200, chunk, true);
        driver.FeedAll(300, chunk);
        for (int shard = 0; shard < shards; ++shard) {
          shape.token_shard = shard;
          EXPECT_EQ(driver.Kept(0, 0, shard), Direct(config, shape, 300, 200))
              << when << " " << shards << " " << chunk;
        }
      }
    }
  }
}

TEST(KeyDiff, OnceChoosesWhenThePromptEnds) {
  CacheConfig config = Config("key_diff", 50);
  config.when = "once";
  const CacheShape shape = Shape(kDim, kContext);
  CacheDriver driver(config, shape, DriftingStream());
  driver.FeedAll(199, 50);
  EXPECT_EQ(driver.Kept(0, 0).size(), 199u);
  driver.Feed(0, 1, true);
  EXPECT_EQ(driver.Kept(0, 0), Direct(config, shape, 200, 200));
}

// One key points elsewhere: whatever comes, it is the one row that stays.
TEST(KeyDiff, TheOddKeyStays) {
  Stream stream = TaggedStream(1, kDim);
  stream.key = [](int, int64_t position) {
    Floats row(kDim, 1.0f);
    if (position == 20) row[0] = -5.0f;
    return row;
  };
  CacheDriver driver(Config("key_diff", 11), Shape(kDim, kContext), stream);
  driver.FeedAll(500, 50);
  const auto kept = driver.Kept(0, 0);
  EXPECT_EQ(kept.size(), 11u);
  EXPECT_TRUE(std::binary_search(kept.begin(), kept.end(), 20));
}

TEST(KeyDiff, KeysOfLengthZeroTakePartWithoutADirection) {
  Stream stream = TaggedStream(1, kDim);
  stream.key = [](int, int64_t position) {
    return Floats(kDim, position % 50 == 5 ? 0.0f : 1.0f);
  };
  CacheDriver driver(Config("key_diff", 16), Shape(kDim, kContext), stream);
  driver.FeedAll(300, 30);
  const auto kept = driver.Kept(0, 0);
  for (const int64_t p : {5, 55, 105, 155, 205, 255}) {
    EXPECT_TRUE(std::binary_search(kept.begin(), kept.end(), p)) << p;
  }
}

}  // namespace
}  // namespace subgen::testing
