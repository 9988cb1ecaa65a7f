#include "engine/cache/policies/kivi_block.h"
#include "gmock/gmock.h"
#include "tests/engine/cache/cache_driver.h"

namespace subgen::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// Returns the most that a number of a group may move: half a scale, where the
// minimum was rounded down and the scale up to f16 (2^-10 of each), and f32
// rounding.
double HalfStep(const Floats& group, int bits) {
  const auto [low, high] = std::minmax_element(group.begin(), group.end());
  const double minimum = *low - std::abs(*low) * 0x1p-10;
  const double scale =
      (*high - minimum) / ((1 << bits) - 1) * (1.0 + 0x1p-10) + 0x1p-24;
  return scale / 2 + 0x1p-22 * (std::abs(*low) + std::abs(*high));
}

struct Tokens {
  std::vector<Floats> keys, values;
};

// Groups are by channel over the tokens for keys, by 32 numbers of a token for
// values.
void ExpectWithinHalfStep(const Tokens& got, const Tokens& want, int bits) {
  const int64_t dim = want.keys[0].size();
  for (int64_t c = 0; c < dim; ++c) {
    Floats channel;
    for (const Floats& key : want.keys) channel.push_back(key[c]);
    for (size_t i = 0; i < want.keys.size(); ++i) {
      EXPECT_NEAR(got.keys[i][c], want.keys[i][c], HalfStep(channel, bits));
    }
  }
  for (size_t i = 0; i < want.values.size(); ++i) {
    for (int64_t c = 0; c < dim; ++c) {
      const auto first = want.values[i].begin() + c / 32 * 32;
      const auto last =
          want.values[i].begin() + std::min(dim, c / 32 * 32 + 32);
      EXPECT_NEAR(got.values[i][c], want.values[i][c],
                  HalfStep(Floats(first, last), bits));
    }
  }
}

Floats Flat(const std::vector<Floats>& rows) {
  Floats all;
  for (const Floats& row : rows) all.insert(all.end(), row.begin(), row.end());
  return all;
}

std::vector<Floats> Split(const Floats& all, int64_t dim) {
  std::vector<Floats> rows;
  for (auto it = all.begin(); it != all.end(); it += dim) {
    rows.emplace_back(it, it + dim);
  }
  return rows;
}

Tokens RoundTrip(const Tokens& tokens, int bits) {
  const int64_t dim = tokens.keys[0].size(), n = KiviBlock::kTokens;
  const KiviBlock block(dim, bits);
  Floats keys = Flat(tokens.keys), values = Flat(tokens.values);
  std::vector<std::byte> bytes(block.bytes());
  block.Encode(Matrix<float>(keys.data(), n, dim),
               Matrix<float>(values.data(), n, dim), bytes.data());
  Floats out_keys(n * dim), out_values(n * dim);
  block.Decode(bytes.data(), {out_keys.data(), n, dim},
               {out_values.data(), n, dim});
  return {Split(out_keys, dim), Split(out_values, dim)};
}

TEST(KiviBlock, ComesBackWithinHalfAStepOfItsOwnGroup) {
  for (const int bits : {2, 4}) {
    for (const int64_t dim : {4, 8, 36, 64, 128}) {
      Tokens tokens;
      for (int64_t i = 0; i < KiviBlock::kTokens; ++i) {
        tokens.keys.push_back(RandomRow(5, 0, bits, i, dim));
        tokens.values.push_back(RandomRow(5, 1, bits, i, dim));
        tokens.keys.back()[1] = tokens.keys.back()[1] * 0.01f + 300.0f;
        tokens.keys.back()[2] *= 500.0f;  // channels that stand out
      }
      for (float& x : tokens.values[7]) x *= 1000.0f;  // and a token
      ExpectWithinHalfStep(RoundTrip(tokens, bits), tokens, bits);
    }
  }
}

TEST(KiviBlock, TakesBitsPlusOneForANumber) {
  EXPECT_EQ(KiviBlock(64, 4).bytes() * 8, 5 * 2 * 32 * 64);
  EXPECT_EQ(KiviBlock(64, 2).bytes() * 8, 3 * 2 * 32 * 64);
}

TEST(KiviBlock, NumbersOnTheStepsComeBackExactly) {
  Tokens tokens;
  for (int i = 0; i < 32; ++i) {
    Floats row(4);
    for (int c = 0; c < 4; ++c) row[c] = -2.0f + 0.5f * ((i + c) % 4);
    tokens.keys.push_back(row);
    tokens.values.push_back(row);
  }
  const Tokens got = RoundTrip(tokens, 2);
  EXPECT_EQ(got.keys, tokens.keys);
  EXPECT_EQ(got.values, tokens.values);
}

CacheConfig Kivi(int bits, int64_t exact_tokens) {
  CacheConfig config = Config("kivi", 20);  // a budget that does not bind
  config.kivi.bits = bits;
  config.kivi.exact_tokens = exact_tokens;
  return config;
}

TEST(Kivi, TheLastTokensAndTheSinksAreExactTheOthersNear) {
  constexpr int64_t kDim = 64, kExact = 128;
  for (const int bits : {2, 4}) {
    for (const int64_t tokens : {100, 161, 162, 163, 400}) {
      const Stream stream = RandomStream(3, kDim);
      CacheDriver driver(Kivi(bits, kExact), Shape(kDim, 1000), stream);
      driver.FeedAll(tokens, 50);
      const std::vector<SeenRow> rows = driver.Seen(0, 1);
      // Two sinks come first, whole blocks behind at least 128 tokens last.
      const int64_t blocks = std::max<int64_t>(0, (tokens - 2 - kExact) / 32);
      ASSERT_EQ(static_cast<int64_t>(rows.size()), tokens);
      std::vector<Floats> exact;
      for (int64_t i = 0; i < tokens - 32 * blocks; ++i) {
        exact.push_back(rows[i].key);
      }
      for (int64_t p = 0; p < tokens; ++p) {
        if (p >= 2 && p < 2 + 32 * blocks) continue;
        EXPECT_THAT(exact, ::testing::Contains(stream.key(1, p))) << p;
      }
      for (int64_t block = 0; block < blocks; ++block) {
        Tokens got, want;
        for (int64_t i = 0; i < 32; ++i) {
          const SeenRow& row = rows[tokens - 32 * (blocks - block) + i];
          got.keys.push_back(row.key);
          got.values.push_back(row.value);
          want.keys.push_back(stream.key(1, 2 + 32 * block + i));
          want.values.push_back(stream.value(1, 2 + 32 * block + i));
        }
        ExpectWithinHalfStep(got, want, bits);
      }
    }
  }
}

// There are more blocks than are unpacked at once. The tolerance is as in
// exactness_test.cc, with a merge for each part.
TEST(Kivi, AttendsToEveryRowOnce) {
  constexpr int64_t kDim = 8;
  const Stream stream = RandomStream(3, kDim, 2.0f);
  CacheDriver driver(Kivi(4, 16), Shape(kDim, 1000), stream);
  driver.FeedAll(700, 100);
  std::vector<SeenRow> seen[2] = {driver.Seen(0, 0), driver.Seen(0, 1)};
  const auto out = driver.Step({{0, 1}});
  const double tolerance = 0x1p-23 * 8 * (2.0 * kDim + 4.0) * 2.0;
  for (int query = 0; query < 4; ++query) {
    const int head = query / 2;
    std::vector<Floats> keys = {stream.key(head, 700)};
    std::vector<Floats> values = {stream.value(head, 700)};
    for (const SeenRow& row : seen[head]) {
      keys.push_back(row.key);
      values.push_back(row.value);
    }
    ASSERT_EQ(keys.size(), 701u);
    const auto want = DirectAttention(stream.query(query, 700), keys, values);
    for (int64_t c = 0; c < kDim; ++c) {
      EXPECT_NEAR(out[query][c], want[c], tolerance);
    }
  }
}

TEST(Kivi, BytesAreThoseOfWindowWaitingRowsAndBlocks) {
  constexpr int64_t kDim = 64, kTokens = 2 + 128 + 32 * 50 + 5;
  for (const int bits : {2, 4}) {
    CacheConfig config = Kivi(bits, 128);
    for (const char* format : {"bf16", "q4"}) {
      config.row_format = format;
      CacheShape shape = Shape(kDim, kTokens);
      CacheDriver driver(config, shape, RandomStream(3, kDim));
      driver.FeedAll(kTokens, 100);
      const CacheStats stats = driver.policy().Stats(0);
      EXPECT_EQ(stats.rows, 2 * kTokens);
      const int64_t row = 2 * 2 * kDim, window = 2 + 128 + 32;
      EXPECT_EQ(stats.bytes.reserved,
                2 * (window * row + 50 * KiviBlock(kDim, bits).bytes()));
    }
  }
}

std::string ErrorOf(int64_t head_dim, int bits) {
  RecordingBackend backend;
  StepWork work(backend);
  const auto policy =
      MakeCachePolicy(Kivi(bits, 16), Shape(head_dim, 1000), work);
  return policy.ok() ? "no error" : std::string(policy.status().message());
}

TEST(Kivi, WhatCannotBePackedIsNamed) {
  EXPECT_EQ(ErrorOf(6, 4), "no error");
  EXPECT_THAT(ErrorOf(6, 2),
              AllOf(HasSubstr("head_dim = 6"), HasSubstr("multiple of 4")));
  EXPECT_THAT(ErrorOf(64, 3), HasSubstr("cache.kivi.bits = 3: must be 2 or"));
}

}  // namespace
}  // namespace subgen::testing
