// The specification is compared with numbers worked out by hand: logits are
// logarithms of whole numbers, so that weights are whole numbers too.
#include <gmock/gmock.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/reference/attention.h"
#include "kernels/reference/distances.h"

namespace subgen {
namespace {

using testing::ElementsAre;
using testing::FloatNear;

constexpr float kNone = -std::numeric_limits<float>::infinity();
const float kLog2 = std::log(2.0f), kLog3 = std::log(3.0f);

// Keys are of one number, so that a query of 1 has logits 0, log 2, log 3.
class ReferenceAttention : public testing::Test {
 protected:
  AttentionTask Task(Vector<const float> queries) {
    const int64_t count = queries.size();
    AttentionTask task;
    task.queries = {queries.data(), count, 1};
    task.rows.keys = FloatRows({keys_.data(), 3, 1});
    task.rows.values = FloatRows({values_.data(), 3, 1});
    task.out = out_.Resize(count);
    SetEmpty(task.out);
    return task;
  }
  // Returns sums without the scale.
  double Partition(int i) {
    const SoftmaxPartials p = out_.view();
    return p.partition[i] * std::exp(p.max_logit[i]);
  }
  double Weighted(int i) {
    const SoftmaxPartials p = out_.view();
    return p.weighted.row(i)[0] * std::exp(p.max_logit[i]);
  }

  std::vector<float> keys_{0.0f, kLog2, kLog3};
  std::vector<float> values_{10.0f, 100.0f, 1000.0f};
  const std::vector<float> one_{1.0f};
  PartialsBuffer out_{4, 1};
  static constexpr double kNear = 1e-5;
};

TEST_F(ReferenceAttention, SumsExponentials) {
  reference::Attend(Task(one_));
  EXPECT_FLOAT_EQ(out_.view().max_logit[0], kLog3);
  EXPECT_NEAR(Partition(0), 1 + 2 + 3, 6 * kNear);
  EXPECT_NEAR(Weighted(0), 10 + 200 + 3000, 3210 * kNear);
}

TEST_F(ReferenceAttention, BiasesBelongToOneSumEach) {
  const std::vector<float> partition_bias{std::log(5.0f), 0.0f, kNone};
  const std::vector<float> value_bias{kNone, std::log(7.0f), 0.0f};
  AttentionTask task = Task(one_);
  task.rows.partition_bias = partition_bias;
  task.rows.value_bias = value_bias;
  reference::Attend(task);
  EXPECT_FLOAT_EQ(out_.view().max_logit[0], std::log(14.0f));
  EXPECT_NEAR(Partition(0), 5 + 2, 7 * kNear);
  EXPECT_NEAR(Weighted(0), 1400 + 3000, 4400 * kNear);
}

TEST_F(ReferenceAttention, RowsWithoutValuesAreInThePartitionOnly) {
  const std::vector<float> unread{0.0f, 50.0f, 0.0f};
  AttentionTask task = Task(one_);
  task.rows.values = {};
  task.rows.value_bias = unread;
  reference::Attend(task);
  EXPECT_NEAR(Partition(0), 6, 6 * kNear);
  EXPECT_EQ(Weighted(0), 0.0);
}

TEST_F(ReferenceAttention, ATokenSeesTheRowsUpToItself) {
  const std::vector<float> queries{1.0f, 1.0f, 2.0f, 0.0f};
  const std::vector<int> row_token{0, 1, 2};
  AttentionTask task = Task(queries);
  task.group = 2;  // tokens 0, 0, 1, 1
  task.row_token = row_token;
  reference::Attend(task);
  EXPECT_NEAR(Partition(0), 1, kNear);
  EXPECT_NEAR(Weighted(1), 10, 10 * kNear);
  EXPECT_NEAR(Partition(2), 1 + 4, 5 * kNear);
  EXPECT_NEAR(Weighted(2), 10 + 400, 410 * kNear);
  EXPECT_NEAR(Partition(3), 2, 2 * kNear);
}

TEST_F(ReferenceAttention, NothingSeenIsAnEmptySet) {
  const std::vector<int> row_token{1, 1, 1};
  AttentionTask task = Task(one_);
  task.row_token = row_token;
  reference::Attend(task);
  EXPECT_THAT(out_.packed(), ElementsAre(kNone, 0.0f, 0.0f));
  const std::vector<float> none(3, kNone);
  task.row_token = {};
  task.rows.partition_bias = none;
  task.rows.value_bias = none;
  reference::Attend(task);
  EXPECT_THAT(out_.packed(), ElementsAre(kNone, 0.0f, 0.0f));
}

TEST_F(ReferenceAttention, ResultsMergeIntoWhatIsThere) {
  AttentionTask task = Task(one_);
  reference::Attend(task);
  reference::Attend(task);
  EXPECT_NEAR(Partition(0), 12, 12 * kNear);
  EXPECT_NEAR(Weighted(0), 6420, 6420 * kNear);
}

TEST_F(ReferenceAttention, MassIsTheSumOfProbabilities) {
  // There are three tokens, of which the second saw nothing; partitions are 6
  // and 12.
  const std::vector<float> queries{1.0f, 1.0f, 1.0f};
  const std::vector<float> log_partition{std::log(6.0f), kNone,
                                         std::log(12.0f)};
  const std::vector<float> bias{0.0f, kNone, kLog2};
  const std::vector<int> row_token{0, 0, 2};
  std::vector<float> mass{100.0f, 200.0f, 300.0f};
  reference::AccumulateMass({{queries.data(), 3, 1},
                             FloatRows({keys_.data(), 3, 1}),
                             bias,
                             row_token,
                             1,
                             log_partition,
                             mass});
  EXPECT_THAT(mass, ElementsAre(FloatNear(100.0f + 1.0f / 6 + 1.0f / 12, 1e-4f),
                                200.0f, FloatNear(300.0f + 0.5f, 1e-4f)));
}

TEST(ReferenceClustering, DistancesAreSquared) {
  const std::vector<float> rows{0, 0, 3, 4, -1, 2};
  const std::vector<float> point{0, 0};
  std::vector<float> squared(3);
  reference::Distances({point, FloatRows({rows.data(), 3, 2}), squared});
  EXPECT_THAT(squared, ElementsAre(0, 25, 5));
}

}  // namespace
}  // namespace subgen
