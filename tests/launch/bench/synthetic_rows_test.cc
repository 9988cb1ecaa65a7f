#include "launch/bench/synthetic_rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace subgen {
namespace {

using Kind = SyntheticRows::Kind;

std::vector<float> Row(const SyntheticRows& rows, Kind kind, int layer,
                       int head, int64_t position, int64_t dim = 64) {
  std::vector<float> row(dim);
  rows.Fill(kind, layer, head, position, row);
  return row;
}

TEST(SyntheticRows, FollowFromThePlaceAlone) {
  const SyntheticRows rows(1), same(1), other(2);
  const auto row = Row(rows, Kind::kKey, 3, 2, int64_t{1} << 33);
  Row(same, Kind::kValue, 0, 0, 5);
  EXPECT_EQ(row, Row(same, Kind::kKey, 3, 2, int64_t{1} << 33));
  EXPECT_NE(row, Row(other, Kind::kKey, 3, 2, int64_t{1} << 33));
  EXPECT_NE(row, Row(rows, Kind::kValue, 3, 2, int64_t{1} << 33));
  EXPECT_NE(row, Row(rows, Kind::kKey, 3, 2, 0));
  EXPECT_NE(row, Row(rows, Kind::kKey, 2, 3, int64_t{1} << 33));
}

// The rows have mean 0 and variance 1 within five sigma. A number comes up in
// about n / 2^18 windows each; with n = 2^15 numbers they count as independent.
TEST(SyntheticRows, AreStandardNormal) {
  const SyntheticRows rows(1);
  constexpr int kRows = 512;
  double sum = 0.0, squares = 0.0, fourth = 0.0;
  for (int i = 0; i < kRows; ++i) {
    for (const float x : Row(rows, Kind::kKey, 0, 0, i)) {
      sum += x;
      squares += double{x} * x;
      fourth += std::pow(double{x}, 4);
    }
  }
  const double n = kRows * 64.0;
  EXPECT_NEAR(sum / n, 0.0, 5.0 / std::sqrt(n));
  EXPECT_NEAR(squares / n, 1.0, 5.0 * std::sqrt(2.0 / n));
  EXPECT_NEAR(fourth / n, 3.0, 5.0 * std::sqrt(96.0 / n));
}

// This takes down what it is given.
class Recorder final : public CachePolicy {
 public:
  Needs needs() const override { return Needs::kScores; }
  void Attend(const LayerStep&, const SoftmaxPartials&) override { FAIL(); }
  void Observe(const LayerStep& step,
               Vector<const float> log_partition) override {
    EXPECT_EQ(step.queries.rows, static_cast<int64_t>(log_partition.size()));
    ++observed;
  }
  void Append(const LayerStep& step) override {
    ASSERT_EQ(step.chunks.size(), 1u);
    const Chunk& chunk = step.chunks[0];
    EXPECT_EQ(chunk.position, next);
    next += chunk.count;
    EXPECT_EQ(chunk.owned_count,
              static_cast<int>(step.Positions(chunk).size()));
    for (int i = 0; i < chunk.owned_count; ++i) {
      positions.push_back(step.Positions(chunk)[i]);
      EXPECT_EQ(step.Tokens(chunk)[i], positions.back() - chunk.position);
      const Vector<const float> key = step.Keys(chunk, 1).row(i);
      keys.emplace_back(key.begin(), key.end());
    }
    EXPECT_EQ(chunk.ends_prompt, next == 100);
  }
  int64_t Dropped(int) const override { return 0; }
  void EndStep() override { ++ended; }
  void Forget(int) override {}
  CacheStats Stats(int) const override { return {}; }
  std::string Save(int) const override { return ""; }
  absl::Status Load(int, absl::string_view) override { return {}; }

  int observed = 0, ended = 0;  // steps
  int64_t next = 0;
  std::vector<int64_t> positions;
  std::vector<std::vector<float>> keys;  // of the second head
};

TEST(SyntheticStream, GivesEachTokenShardItsOwn) {
  const SyntheticRows rows(1);
  std::vector<int64_t> all;
  for (int shard = 0; shard < 3; ++shard) {
    CacheShape shape;
    shape.layer = 1;
    shape.kv_heads = 2;
    shape.first_kv_head = 4;
    shape.head_dim = 8;
    shape.group = 3;
    shape.token_shards = 3;
    shape.token_shard = shard;
    shape.token_block = 5;
    Recorder policy;
    SyntheticStream(rows, 32).Run(shape, 100, &policy);
    EXPECT_EQ(policy.next, 100);
    EXPECT_EQ(policy.observed, 4);
    EXPECT_EQ(policy.ended, 4);
    for (size_t i = 0; i < policy.positions.size(); ++i) {
      EXPECT_EQ(policy.positions[i] / 5 % 3, shard);
      EXPECT_EQ(policy.keys[i],
                Row(rows, Kind::kKey, 1, 5, policy.positions[i], 8));
    }
    all.insert(all.end(), policy.positions.begin(), policy.positions.end());
  }
  std::vector<int64_t> expected(100);
  for (int i = 0; i < 100; ++i) expected[i] = i;
  EXPECT_THAT(all, testing::UnorderedElementsAreArray(expected));
}

}  // namespace
}  // namespace subgen
