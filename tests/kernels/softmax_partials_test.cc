#include "kernels/softmax_partials.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace subgen {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::FloatEq;

constexpr float kEmpty = -std::numeric_limits<float>::infinity();

// This has one query and two numbers.
class One {
 public:
  One(float max, float partition, std::vector<float> weighted)
      : max_(max), partition_(partition), weighted_(std::move(weighted)) {}
  One(const One&) = delete;

  SoftmaxPartials view() {
    return {{&max_, 1},
            {&partition_, 1},
            {weighted_.data(), 1, static_cast<int64_t>(weighted_.size())}};
  }
  float max() const { return max_; }
  float partition() const { return partition_; }
  const std::vector<float>& weighted() const { return weighted_; }

 private:
  float max_, partition_;
  std::vector<float> weighted_;
};

TEST(MergePartials, ByHand) {
  One into(0.0f, 2.0f, {3.0f, -1.0f});
  One from(std::log(2.0f), 1.0f, {0.5f, 4.0f});
  MergePartials(from.view(), into.view());  // into is halved: exp(-log 2)
  EXPECT_FLOAT_EQ(into.max(), std::log(2.0f));
  EXPECT_FLOAT_EQ(into.partition(), 2.0f);
  EXPECT_THAT(into.weighted(), ElementsAre(FloatEq(2.0f), FloatEq(3.5f)));
}

TEST(MergePartials, TheLargerMaximumMayBeOnEitherSide) {
  One into(std::log(2.0f), 1.0f, {0.5f, 4.0f});
  One from(0.0f, 2.0f, {3.0f, -1.0f});
  MergePartials(from.view(), into.view());
  EXPECT_FLOAT_EQ(into.max(), std::log(2.0f));
  EXPECT_FLOAT_EQ(into.partition(), 2.0f);
  EXPECT_THAT(into.weighted(), ElementsAre(FloatEq(2.0f), FloatEq(3.5f)));
}

TEST(MergePartials, AnEmptySideChangesNothing) {
  One into(1.5f, 2.0f, {3.0f, -1.0f}), empty(kEmpty, 0.0f, {0.0f, 0.0f});
  MergePartials(empty.view(), into.view());
  EXPECT_EQ(into.max(), 1.5f);
  EXPECT_EQ(into.partition(), 2.0f);
  EXPECT_THAT(into.weighted(), ElementsAre(3.0f, -1.0f));
  MergePartials(into.view(), empty.view());
  EXPECT_EQ(empty.max(), 1.5f);
  EXPECT_EQ(empty.partition(), 2.0f);
  EXPECT_THAT(empty.weighted(), ElementsAre(3.0f, -1.0f));
}

TEST(MergePartials, TwoEmptySidesStayEmptyWithoutNaN) {
  One into(kEmpty, 0.0f, {0.0f, 0.0f}), from(kEmpty, 0.0f, {0.0f, 0.0f});
  MergePartials(from.view(), into.view());
  EXPECT_EQ(into.max(), kEmpty);
  EXPECT_EQ(into.partition(), 0.0f);
  EXPECT_THAT(into.weighted(), Each(0.0f));
}

TEST(MergePartials, MaximaFarApartDoNotOverflow) {
  One into(-3e38f, 1.0f, {1.0f, 1.0f}), from(3e38f, 1.0f, {2.0f, 2.0f});
  MergePartials(from.view(), into.view());
  EXPECT_EQ(into.max(), 3e38f);
  EXPECT_EQ(into.partition(), 1.0f);
  EXPECT_THAT(into.weighted(), Each(2.0f));
}

// Any grouping of the same logits gives exp(logit) sums in double.
TEST(MergePartials, AnyOrderGivesTheSumsOfTheWhole) {
  constexpr int kParts = 20;
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0.0f, 8.0f);
  std::vector<float> logits(kParts), values(kParts);
  double partition = 0.0, weighted = 0.0, magnitude = 0.0;
  for (int i = 0; i < kParts; ++i) {
    logits[i] = normal(random);
    values[i] = normal(random);
    partition += std::exp(double{logits[i]});
    weighted += std::exp(double{logits[i]}) * values[i];
    magnitude += std::exp(double{logits[i]}) * std::abs(values[i]);
  }
  for (const bool forwards : {true, false}) {
    One into(kEmpty, 0.0f, {0.0f});
    for (int i = 0; i < kParts; ++i) {
      const int part = forwards ? i : kParts - 1 - i;
      One from(logits[part], 1.0f, {values[part]});
      MergePartials(from.view(), into.view());
    }
    // A merge rescales and adds: up to 4 units each, and differences of maxima
    // below 64 are off by up to 32 units.
    const double unit = kParts * 36 * 0x1p-24;
    const double scale = std::exp(double{into.max()});
    EXPECT_NEAR(into.partition() * scale, partition, unit * partition);
    EXPECT_NEAR(into.weighted()[0] * scale, weighted, unit * magnitude);
  }
}

TEST(LogPartition, IsMaximumPlusLogOfTheSum) {
  PartialsBuffer buffer(3, 1);
  const SoftmaxPartials partials = buffer.Resize(3);
  SetEmpty(partials);
  partials.max_logit[0] = 2.0f;
  partials.partition[0] = 3.0f;
  partials.max_logit[1] = 2.0f;  // in the value sum only
  std::vector<float> log_partition(3);
  LogPartition(partials, log_partition);
  EXPECT_THAT(log_partition,
              ElementsAre(FloatEq(2.0f + std::log(3.0f)), kEmpty, kEmpty));
}

TEST(PartialsBuffer, PartsLieBehindOneAnother) {
  PartialsBuffer buffer(4, 3);
  const SoftmaxPartials partials = buffer.Resize(2);
  SetEmpty(partials);
  EXPECT_EQ(partials.rows(), 2);
  partials.partition[0] = 5.0f;
  partials.weighted.row(1)[2] = 7.0f;
  EXPECT_THAT(buffer.packed(),
              ElementsAre(kEmpty, kEmpty, 5, 0, 0, 0, 0, 0, 0, 7));
  EXPECT_THAT(buffer.sums(), ElementsAre(5, 0, 0, 0, 0, 0, 0, 7));
}

TEST(SoftmaxPartials, RowsAreAPartOfAllThree) {
  PartialsBuffer buffer(3, 2);
  const SoftmaxPartials all = buffer.Resize(3);
  SetEmpty(all);
  const SoftmaxPartials last = all.Rows(2, 1);
  last.max_logit[0] = 1.0f;
  last.partition[0] = 2.0f;
  last.weighted.row(0)[1] = 3.0f;
  EXPECT_EQ(all.max_logit[2], 1.0f);
  EXPECT_EQ(all.partition[2], 2.0f);
  EXPECT_EQ(all.weighted.row(2)[1], 3.0f);
}

TEST(PartialsBufferDeathTest, RefusesMoreRowsThanItHas) {
  PartialsBuffer buffer(2, 3);
  EXPECT_DEATH(buffer.Resize(3), "check failed");
}

}  // namespace
}  // namespace subgen
