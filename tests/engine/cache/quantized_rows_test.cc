// These hold for rows in few bits, whatever the policy: sinks and recent tokens
// are not quantized, every other row is the quantized token and never anything
// else, and bytes are what the formats say.
#include <map>
#include <set>

#include "engine/cache/budget.h"
#include "gmock/gmock.h"
#include "kernels/memory/row_format.h"
#include "tests/engine/cache/cache_driver.h"

namespace subgen::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr int64_t kDim = 64, kContext = 100000;
constexpr RowFormat kQuantized[] = {RowFormat::kQ8, RowFormat::kQ4,
                                    RowFormat::kQ3};

// Policies with a format of their own are left out.
std::vector<CacheConfig> Policies(RowFormat format, int64_t budget_tokens) {
  std::vector<CacheConfig> all;
  for (CacheConfig config : AllPolicies(budget_tokens)) {
    if (config.policy == "kivi") continue;
    config.row_format = std::string(RowFormatName(format));
    config.rotate = "false";  // a transform of sinks would round
    all.push_back(config);
  }
  return all;
}

CacheShape OneHead() {
  CacheShape shape = Shape(kDim, kContext);
  shape.kv_heads = 1;
  shape.group = 1;
  return shape;
}

Floats ThereAndBack(RowFormat format, const Floats& row) {
  std::vector<std::byte> bytes(RowBytes(format, row.size()));
  EncodeRow(format, row, bytes.data());
  Floats back(row.size());
  DecodeRow(format, bytes.data(), back);
  return back;
}

// This is what a token may look like in a cache.
struct Token {
  int64_t position = 0;
  bool exact = false;
  Floats value;
};

std::map<Floats, Token> TokensByKey(const Stream& stream, RowFormat format,
                                    int64_t tokens) {
  std::map<Floats, Token> all;
  for (int64_t p = 0; p < tokens; ++p) {
    const Floats key = ThereAndBack(RowFormat::kBF16, stream.key(0, p));
    const Floats value = ThereAndBack(RowFormat::kBF16, stream.value(0, p));
    all[key] = {p, true, value};
    all[ThereAndBack(format, key)] = {p, false, ThereAndBack(format, value)};
  }
  return all;
}

TEST(QuantizedRows, AreTokensQuantizedOnceWhenTheyAreNoLongerRecent) {
  const Stream stream = RandomStream(3, kDim);
  for (const RowFormat format : kQuantized) {
    const auto tokens = TokensByKey(stream, format, 400);
    for (const CacheConfig& config : Policies(format, 60)) {
      SCOPED_TRACE(absl::StrCat(Name(config), " ", config.row_format));
      CacheDriver driver(config, OneHead(), stream);
      while (driver.next(0) < 380) {
        driver.Step({{0, 19, driver.next(0) == 38}});
        if (config.when == "once" && driver.next(0) <= 38) continue;
        int exact = 0;
        for (const SeenRow& row : driver.Seen(0, 0)) {
          const auto found = tokens.find(row.key);
          ASSERT_NE(found, tokens.end());
          const Token& token = found->second;
          ASSERT_EQ(token.exact,
                    token.position < config.sink_tokens ||
                        token.position >= driver.next(0) - config.recent_tokens)
              << token.position << " of " << driver.next(0);
          if (!row.value.empty()) {
            ASSERT_EQ(row.value, token.value);
          }
          exact += token.exact;
        }
        ASSERT_EQ(exact, config.sink_tokens + config.recent_tokens);
      }
    }
  }
}

TEST(QuantizedRows, BytesStayUnderTheBudgetAndNearIt) {
  constexpr int64_t kBudget = 12000;
  for (const RowFormat format : kQuantized) {
    for (CacheConfig config : Policies(format, 0)) {
      if (config.policy == "exact") continue;
      config.budget_bytes = kBudget;
      CacheDriver driver(config, OneHead(), RandomStream(1, kDim));
      while (driver.next(0) < 1000) {
        driver.Step({{0, 50, driver.next(0) == 0}});
        ASSERT_LE(driver.policy().Stats(0).bytes.reserved, kBudget)
            << Name(config) << " " << config.row_format;
      }
      EXPECT_GE(driver.policy().Stats(0).bytes.reserved, 0.9 * kBudget)
          << Name(config) << " " << config.row_format;
    }
  }
}

TEST(QuantizedRows, BytesStayUnderTheBudgetOnEveryTokenShard) {
  constexpr int64_t kBudget = 20000;
  for (CacheConfig config : Policies(RowFormat::kQ4, 0)) {
    // A window may own a block more than its share.
    if (config.policy == "exact" || config.policy == "window") continue;
    config.budget_bytes = kBudget;
    CacheShape shape = OneHead();
    shape.token_shards = 2;
    CacheDriver driver(config, shape, RandomStream(1, kDim));
    while (driver.next(0) < 1000) driver.Step({{0, 50, driver.next(0) == 0}});
    for (int shard = 0; shard < 2; ++shard) {
      EXPECT_LE(driver.policy(shard).Stats(0).bytes.reserved, kBudget / 2)
          << Name(config);
      EXPECT_GE(driver.policy(shard).Stats(0).bytes.reserved,
                0.85 * kBudget / 2)
          << Name(config);
    }
  }
}

// 10 rows are in bf16; the others are counted by hand: 34 bytes for 32 numbers,
// 36 or 28 for 64. Arrays grow by an eighth and 64 rows.
TEST(QuantizedRows, AllRowsOfExactTakeWhatTheFormatSays) {
  const std::map<RowFormat, int64_t> bytes_of_row = {
      {RowFormat::kQ8, 68}, {RowFormat::kQ4, 36}, {RowFormat::kQ3, 28}};
  for (const auto& [format, bytes] : bytes_of_row) {
    CacheConfig config = Config("exact", 0);
    config.row_format = std::string(RowFormatName(format));
    CacheDriver driver(config, OneHead(), RandomStream(1, kDim));
    driver.FeedAll(3000, 100);
    const CacheStats stats = driver.policy().Stats(0);
    EXPECT_EQ(stats.rows, 3000);
    const int64_t least = 10 * 256 + 2990 * 2 * bytes;
    EXPECT_GE(stats.bytes.reserved, least);
    EXPECT_LE(stats.bytes.reserved, least + least / 8 + 64 * 2 * (bytes + 128));
  }
}

// Returns the positions that the shards hold together.
std::set<int64_t> Positions(CacheDriver& driver, int shards,
                            const std::map<Floats, Token>& tokens) {
  std::set<int64_t> positions;
  for (int shard = 0; shard < shards; ++shard) {
    for (const SeenRow& row : driver.Seen(0, 0, shard)) {
      const bool is_new = positions.insert(tokens.at(row.key).position).second;
      EXPECT_TRUE(is_new);
    }
  }
  return positions;
}

TEST(QuantizedRows, WindowAndExactKeepTheRightTokensOnAnyTokenShards) {
  const Stream stream = RandomStream(5, kDim);
  const auto tokens = TokensByKey(stream, RowFormat::kQ4, 300);
  for (const char* policy : {"window", "exact"}) {
    for (const int budget : {12, 40}) {  // 2 and 30 quantized tokens
      for (const int shards : {1, 2, 3}) {
        CacheConfig config = Config(policy, budget);
        config.row_format = "q4";
        config.rotate = "false";
        CacheShape shape = OneHead();
        shape.token_shards = shards;
        CacheDriver driver(config, shape, stream);
        for (int i = 0; driver.next(0) < 270; ++i) {
          driver.Step({{0, 1 + i % 7}});
          std::set<int64_t> want;
          for (int64_t p = 0; p < driver.next(0); ++p) {
            if (policy[0] == 'e' || p < 2 ||
                p >= driver.next(0) - (budget - 2)) {
              want.insert(p);
            }
          }
          ASSERT_EQ(Positions(driver, shards, tokens), want)
              << policy << " " << shards << " shards, " << driver.next(0)
              << " tokens";
        }
      }
    }
  }
}

TEST(QuantizedRows, ASavedSlotContinuesBitForBit) {
  for (const CacheConfig& config : Policies(RowFormat::kQ3, 40)) {
    CacheDriver first(config, OneHead(), RandomStream(2, kDim));
    CacheDriver second(config, OneHead(), RandomStream(2, kDim));
    for (int i = 0; i < 30; ++i) first.Step({{0, 1 + i % 9, i == 20}});
    const std::string saved = first.policy().Save(0);
    ASSERT_TRUE(second.policy().Load(0, saved).ok());
    second.set_next(0, first.next(0));
    EXPECT_EQ(second.policy().Save(0), saved);
    for (int i = 0; i < 20; ++i) {
      ASSERT_EQ(first.Step({{0, 1 + i % 4}}), second.Step({{0, 1 + i % 4}}))
          << Name(config);
    }
  }
}

TEST(QuantizedRows, DamagedBytesNeverCrash) {
  for (const CacheConfig& config : Policies(RowFormat::kQ3, 40)) {
    CacheDriver driver(config, OneHead(), RandomStream(2, kDim));
    for (int i = 0; i < 25; ++i) driver.Step({{0, 1 + i % 9, i == 10}});
    const std::string saved = driver.policy().Save(0);
    const int64_t size = saved.size(), step = std::max<int64_t>(1, size / 150);
    for (int64_t at = 0; at + 8 <= size; at += step) {
      for (const char byte : {'\x7f', '\x00', '\x01'}) {
        std::string damaged = saved;
        damaged.replace(at, 8, std::string(8, byte));
        CacheDriver other(config, OneHead(), RandomStream(2, kDim));
        if (other.policy().Load(0, damaged).ok()) {
          other.set_next(0, other.policy().Stats(0).tokens_seen);
        }
        if (other.next(0) < kContext - 40) other.Step({{0, 20}});
      }
    }
  }
}

std::string ErrorOf(const CacheConfig& config, int64_t dim) {
  RecordingBackend backend;
  StepWork work(backend);
  const auto policy = MakeCachePolicy(config, Shape(dim, kContext), work);
  return policy.ok() ? "no error" : std::string(policy.status().message());
}

TEST(QuantizedRows, HeadsThatAreNotWholeBlocksAreRefused) {
  CacheConfig config = Config("exact", 0);
  config.row_format = "q4";
  EXPECT_EQ(ErrorOf(config, 96), "no error");
  EXPECT_THAT(ErrorOf(config, 80),
              AllOf(HasSubstr("cache.row_format = q4"), HasSubstr("head of 80"),
                    HasSubstr("multiple of 32")));
  config.rotate = "maybe";
  EXPECT_THAT(ErrorOf(config, 64),
              AllOf(HasSubstr("rotate = \"maybe\""), HasSubstr("true, false")));
}

TEST(QuantizedRows, ThreeAndFourBitsAreTurnedUnlessSettingsSayOtherwise) {
  CacheConfig config = Config("exact", 0);
  for (const char* format : {"f32", "bf16", "f16", "q8", "q4", "q3"}) {
    config.row_format = format;
    config.rotate = "auto";
    EXPECT_EQ(TransformsRows(config), format[0] == 'q' && format[1] < '5');
    config.rotate = "true";
    EXPECT_TRUE(TransformsRows(config));
    config.rotate = "false";
    EXPECT_FALSE(TransformsRows(config));
  }
}

}  // namespace
}  // namespace subgen::testing
