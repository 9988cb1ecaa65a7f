#include "kernels/memory/hadamard.h"
#include "kernels/rotary.h"
#include "tests/engine/cache/cache_driver.h"

namespace subgen::testing {
namespace {

constexpr int64_t kDim = 8;

Rotary MakeRotary(bool interleaved, int pairs) {
  Rotary rotary;
  for (int i = 0; i < pairs; ++i) {
    rotary.inverse_frequency.push_back(std::pow(100.0, -i / 4.0));
  }
  rotary.magnitude = 1.2;
  rotary.interleaved = interleaved;
  return rotary;
}

Floats Turned(const Rotary& rotary, Floats row, int64_t position) {
  MakeReferenceBackend()->Rotate(rotary, Vector<const int64_t>(&position, 1),
                                 row.size(),
                                 {row.data(), 1, int64_t(row.size())});
  return row;
}

// This is the paper's own way: keys are stored unrotated; at each step the i-th
// key of the cache is rotated by i and the query by its own place in the cache.
std::vector<double> CacheIndexed(const Stream& plain, const Rotary& rotary,
                                 const CacheConfig& config, int64_t budget,
                                 int64_t at) {
  std::vector<Floats> keys, values;
  for (int64_t j = 0; j <= at; ++j) {
    const bool recent = j >= at - (budget - config.sink_tokens);
    if (j >= config.sink_tokens && !recent) continue;
    keys.push_back(Turned(rotary, plain.key(0, j), keys.size()));
    values.push_back(plain.value(0, j));
  }
  const Floats query = Turned(rotary, plain.query(0, at), keys.size() - 1);
  return DirectAttention(query, keys, values);
}

Floats HadamardTurned(Floats row) {
  HadamardTransform(kDim).Apply({row.data(), 1, kDim});
  return row;
}

// Returns the rows of a stream as the transformer hands them over.
Stream HadamardTurned(const Stream& stream) {
  Stream turned;
  turned.key = [=](int h, int64_t p) {
    return HadamardTurned(stream.key(h, p));
  };
  turned.value = [=](int h, int64_t p) {
    return HadamardTurned(stream.value(h, p));
  };
  turned.query = [=](int h, int64_t p) {
    return HadamardTurned(stream.query(h, p));
  };
  return turned;
}

void ExpectReindexed(const Rotary& rotary, int token_shards, bool hadamard) {
  CacheConfig config = Config("window", 12);
  config.rotate = hadamard ? "true" : "false";
  CacheShape shape = Shape(kDim, 1000);
  shape.kv_heads = 1;
  shape.first_kv_head = 0;
  shape.group = 1;
  shape.token_shards = token_shards;
  shape.rotary = rotary;
  const Stream plain = RandomStream(11, kDim);
  Stream turned = plain;
  turned.key = [&](int head, int64_t position) {
    return Turned(rotary, plain.key(head, position), position);
  };
  turned.query = [&](int head, int64_t position) {
    return Turned(rotary, plain.query(head, position), position);
  };
  CacheDriver driver(config, shape, hadamard ? HadamardTurned(turned) : turned);
  // Keys and queries are rounded three times when rotated, each number is at
  // most 1.2 sqrt(2): a logit is off by 8 * 3 * 2.88 * 2^-24 * 2, a weight by
  // that part; with the merges' own error as in exactness_test. A Hadamard
  // transform rounds each number by (log2(8) + 1) 2^-24 of the norm, at most
  // 1.2 sqrt(2) sqrt(8); keys go through three and queries through one, and so
  // the logit is off by 4 * 4 * 2^-24 * 4.8^2; outputs go through one.
  const double tolerance = 0x1p-23 * (8 * 3 * 2.88 + 4 * token_shards * 20 +
                                      (hadamard ? 8 * 4.8 * 4.8 + 20 : 0));
  for (int64_t at = 0; at < 60; ++at) {
    Floats got = driver.Step({{0, 1}})[0];
    if (hadamard) HadamardTransform(kDim).Undo({got.data(), 1, kDim});
    const auto want = CacheIndexed(plain, rotary, config, 12, at);
    for (int64_t c = 0; c < kDim; ++c) {
      ASSERT_NEAR(got[c], want[c], tolerance) << "position " << at;
    }
  }
}

TEST(Window, PositionsAreThoseInsideTheCache) {
  for (const bool interleaved : {false, true}) {
    for (const int pairs : {4, 2}) {  // the whole head, half of it
      for (const bool hadamard : {false, true}) {
        ExpectReindexed(MakeRotary(interleaved, pairs), 1, hadamard);
        ExpectReindexed(MakeRotary(interleaved, pairs), 2, hadamard);
      }
    }
  }
}

TEST(Window, RecentTokensFillTheBudget) {
  CacheDriver driver(Config("window", 12), Shape(kDim, 1000),
                     TaggedStream(5, kDim));
  driver.FeedAll(100, 17);
  std::vector<int64_t> want = {0, 1};
  for (int64_t i = 90; i < 100; ++i) want.push_back(i);
  EXPECT_EQ(driver.Kept(0, 0), want);
  EXPECT_EQ(driver.policy().Stats(0).rows, 2 * 12);
}

}  // namespace
}  // namespace subgen::testing
