#include "engine/cache/budget.h"
#include "gmock/gmock.h"
#include "tests/engine/cache/cache_driver.h"

namespace subgen::testing {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kDim = 8, kContext = 10000;

// f16 holds these queries exactly, so the ring of queries rounds nothing.
Stream SharpStream() {
  Stream stream = TaggedStream(41, kDim);
  stream.query = [](int head, int64_t position) {
    Floats row = RandomRow(41, 2, head, position, kDim);
    for (float& x : row) x = std::round(x * 128.0f) / 32.0f;
    return row;
  };
  return stream;
}

CacheConfig SnapKv(int64_t budget, const char* when) {
  CacheConfig config = Config("snap_kv", budget);
  config.when = when;
  return config;
}

// This is SnapKV of one KV head with whole rows of attention, one token at a
// time. Of several token shards it is the one that `dealing` says; the softmax
// is over all tokens, so nothing may be dropped before the prompt ends.
class DirectSnapKv {
 public:
  DirectSnapKv(const CacheConfig& config, const CacheShape& shape)
      : config_(config),
        dealing_{shape.token_shards, shape.token_shard, shape.token_block},
        group_(shape.group),
        limit_(
            SketchRows(config, shape, config.budget_tokens, shape.token_shard)),
        open_(config.when == "once") {}

  void Step(int64_t position, bool ends_prompt) {
    std::vector<int64_t> seen;
    for (int64_t p = 0; p <= position; ++p) {
      if (open_ || IsExact(p, position) || Holds(p)) seen.push_back(p);
    }
    for (int g = 0; g < group_; ++g) Observe(position, g, seen);
    const int64_t leaving = position - config_.recent_tokens;
    if (leaving >= config_.sink_tokens && dealing_.Owns(leaving)) {
      const int64_t room = std::min<int64_t>(32, (limit_ + 1) / 2);
      if (!open_ && static_cast<int64_t>(rows_.size()) == limit_) {
        Choose(limit_ - room);
      }
      rows_.push_back(leaving);
    }
    if (!ends_prompt) return;
    if (open_) Choose(limit_);
    open_ = false;
  }
  std::vector<int64_t> Kept(int64_t next) const {
    std::vector<int64_t> kept;
    for (int64_t p = 0; p < next; ++p) {
      if (!dealing_.Owns(p)) continue;
      if (Holds(p) || IsExact(p, next)) kept.push_back(p);
    }
    return kept;
  }

 private:
  struct Query {
    Floats row;
    double partition;
  };
  bool Holds(int64_t p) const {
    return std::find(rows_.begin(), rows_.end(), p) != rows_.end();
  }
  bool IsExact(int64_t p, int64_t next) const {
    return p < config_.sink_tokens || p >= next - config_.recent_tokens;
  }
  double Weight(const Floats& query, int64_t p) const {
    const Floats key = stream_.key(0, p);
    double logit = 0.0;
    for (int64_t c = 0; c < kDim; ++c) logit += query[c] * key[c];
    return std::exp(logit);
  }
  void Observe(int64_t position, int g, const std::vector<int64_t>& seen) {
    Query query = {stream_.query(g, position), 0.0};
    for (const int64_t p : seen) query.partition += Weight(query.row, p);
    queries_.push_back(query);
  }
  void Choose(int64_t keep) {
    const int64_t rows = rows_.size();
    if (rows <= keep) return;
    const size_t last = config_.recent_tokens * group_;
    const size_t first = queries_.size() - std::min(queries_.size(), last);
    std::vector<double> mass(rows + 4);  // two zeros on each side
    for (size_t q = first; q < queries_.size(); ++q) {
      for (int64_t i = 0; i < rows; ++i) {
        mass[i + 2] +=
            Weight(queries_[q].row, rows_[i]) / queries_[q].partition;
      }
    }
    std::vector<std::pair<double, int64_t>> order;
    for (int64_t i = 0; i < rows; ++i) {
      double sum = 0.0;
      for (int64_t j = i; j < i + 5; ++j) sum += mass[j];
      order.push_back({-sum, -rows_[i]});  // of equal sums the later one
    }
    std::sort(order.begin(), order.end());
    rows_.clear();
    for (int64_t i = 0; i < keep; ++i) rows_.push_back(-order[i].second);
    std::sort(rows_.begin(), rows_.end());
  }

  CacheConfig config_;
  TokenDealing dealing_;
  int group_;
  int64_t limit_;
  bool open_;
  Stream stream_ = SharpStream();
  std::vector<Query> queries_;
  std::vector<int64_t> rows_;
};

TEST(SnapKv, KeepsWhatWholeRowsOfAttentionKeepTokenByToken) {
  for (const char* when : {"once", "stream"}) {
    for (const int64_t budget : {13, 40, 90}) {
      const CacheConfig config = SnapKv(budget, when);
      const CacheShape shape = Shape(kDim, kContext);
      CacheDriver driver(config, shape, SharpStream());
      DirectSnapKv direct(config, shape);
      for (int64_t p = 0; p < 250; ++p) {
        const bool ends_prompt = p == 119;
        driver.Step({{0, 1, ends_prompt}});
        direct.Step(p, ends_prompt);
        ASSERT_EQ(driver.Kept(0, 0), direct.Kept(p + 1)) << when << " " << p;
      }
    }
  }
}

// Chunks cut through the last queries, or are shorter than they.
TEST(SnapKv, OnceDependsNeitherOnChunksNorOnWhoHoldsTheOtherTokens) {
  for (const int shards : {1, 2}) {
    const CacheConfig config = SnapKv(60, "once");
    CacheShape shape = Shape(kDim, kContext);
    shape.token_shards = shards;
    for (const int chunk : {200, 195, 100, 3, 1}) {
      CacheDriver driver(config, shape, SharpStream());
      while (driver.next(0) < 200) {
        const int count = std::min<int64_t>(chunk, 200 - driver.next(0));
        driver.Step({{0, count, driver.next(0) + count == 200}});
      }
      for (int shard = 0; shard < shards; ++shard) {
        shape.token_shard = shard;
        DirectSnapKv direct(config, shape);
        for (int64_t p = 0; p < 200; ++p) direct.Step(p, p == 199);
        EXPECT_EQ(driver.Kept(0, 0, shard), direct.Kept(200))
            << shards << " " << chunk;
      }
    }
  }
}

// The question at the end of the prompt decides: one past key is like it.
TEST(SnapKv, KeepsWhatTheLastQueriesAskFor) {
  for (const int64_t asked : {30, 90}) {
    Stream stream = TaggedStream(1, kDim);
    stream.key = [](int, int64_t position) {
      Floats row(kDim, 0.0f);
      if (position == 30) row[0] = 8.0f;
      if (position == 90) row[1] = 8.0f;
      return row;
    };
    stream.query = [asked](int, int64_t position) {
      Floats row(kDim, 0.0f);
      if (position >= 112) row[asked == 30 ? 0 : 1] = 1.0f;
      return row;
    };
    // What stays are two sinks, 8 recent tokens, and the five rows that one key
    // lifts.
    CacheDriver driver(SnapKv(15, "once"), Shape(kDim, kContext), stream);
    driver.Step({{0, 120, true}});
    std::vector<int64_t> want = {0, 1};
    for (int64_t p = asked - 2; p <= asked + 2; ++p) want.push_back(p);
    for (int64_t p = 112; p < 120; ++p) want.push_back(p);
    EXPECT_EQ(driver.Kept(0, 0), want);
  }
}

TEST(SnapKv, TheQueriesCountAsBytes) {
  CacheConfig config = SnapKv(0, "stream");
  // The ring holds eight tokens of two queries, each 8 numbers of 2 bytes and a
  // float.
  const int64_t ring = 8 * 2 * (2 * kDim + 4), row = 2 * kDim * 4;
  config.budget_bytes = ring + 11 * row;
  const auto rows = BudgetRows(config, Shape(kDim, kContext));
  ASSERT_TRUE(rows.ok()) << rows.status();
  EXPECT_EQ(*rows, 11);
  config.budget_bytes -= 1;
  EXPECT_THAT(
      std::string(BudgetRows(config, Shape(kDim, kContext)).status().message()),
      HasSubstr("gives 10 rows"));
}

}  // namespace
}  // namespace subgen::testing
