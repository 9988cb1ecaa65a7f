#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <random>
#include <vector>

#include "tests/kernels/backends/attention_comparison.h"

namespace subgen {
namespace {

class AttentionTest : public AttentionComparison {};

TEST_P(AttentionTest, EqualsReferenceForAllHeadSizesAndRowFormats) {
  for (const RowFormat format : kRowFormats) {
    for (const int64_t dim : {1, 20, 32, 64, 80, 96, 128, 256}) {
      if (!Fits(format, dim)) continue;
      for (const int64_t rows : {1, 2, 63, 200}) {
        SCOPED_TRACE(testing::Message() << RowFormatName(format) << " dim "
                                        << dim << " rows " << rows);
        AttentionCase c({.rows = rows, .dim = dim, .format = format});
        ExpectEqual(c);
      }
    }
  }
}

TEST_P(AttentionTest, EqualsReferenceForAllGroupsWithBothBiases) {
  for (int group = 1; group <= 8; ++group) {
    for (const int64_t rows : {0, 1, 64, 65, 1000}) {
      SCOPED_TRACE(testing::Message() << "group " << group << " rows " << rows);
      AttentionCase c({.tokens = 1, .group = group, .rows = rows});
      c.SetPartitionBias(0.3);
      c.SetValueBias(0.3);
      ExpectEqual(c);
    }
  }
}

TEST_P(AttentionTest, EqualsReferenceForAPromptChunk) {
  for (const int64_t tokens : {5, 43, 64, 150}) {
    AttentionCase c({.tokens = tokens, .group = 3, .rows = 333});
    ExpectEqual(c);
    c.SetCausal();
    ExpectEqual(c);
    c.SetPartitionBias(0.1);
    c.SetValueBias(0.1);
    ExpectEqual(c);
    c.ShareBias();
    ExpectEqual(c);
  }
}

TEST_P(AttentionTest, EqualsReferenceForAPromptChunkOfAllHeadSizesAndFormats) {
  for (const RowFormat format : kRowFormats) {
    for (const int64_t dim : {1, 20, 32, 64, 80, 96, 128, 256}) {
      if (!Fits(format, dim)) continue;
      for (const int64_t rows : {1, 63, 200}) {
        SCOPED_TRACE(testing::Message() << RowFormatName(format) << " dim "
                                        << dim << " rows " << rows);
        AttentionCase c({.tokens = 11,
                         .group = 2,
                         .rows = rows,
                         .dim = dim,
                         .format = format});
        c.SetPartitionBias(0.1);
        c.ShareBias();
        ExpectEqual(c);
      }
    }
  }
}

TEST_P(AttentionTest, OneBiasForBothSums) {
  AttentionCase c({.tokens = 3, .group = 2, .rows = 150});
  c.SetPartitionBias(0.2);
  c.ShareBias();
  ExpectEqual(c);
}

TEST_P(AttentionTest, RowsWithoutValues) {
  AttentionCase c({.tokens = 3, .group = 3, .rows = 130, .has_values = false});
  ExpectEqual(c);
  c.SetPartitionBias(0.5);
  ExpectEqual(c);
}

TEST_P(AttentionTest, RowsThatTakePartInNothingLeaveAnEmptySet) {
  for (const bool has_values : {false, true}) {
    AttentionCase c({.rows = 100, .has_values = has_values});
    c.SetPartitionBias(1.0);
    c.SetValueBias(1.0);
    PartialsBuffer out = c.EmptyPartials();
    tested_->Attend({{c.Task(out.view())}});
    for (const float max : out.view().max_logit) {
      EXPECT_EQ(max, -std::numeric_limits<float>::infinity());
    }
    for (const float sum : out.sums()) EXPECT_EQ(sum, 0.0f);
  }
}

TEST_P(AttentionTest, RowsOfOneSumOnly) {
  AttentionCase partition_only({.rows = 100});
  partition_only.SetValueBias(1.0);
  ExpectEqual(partition_only);
  AttentionCase values_only({.rows = 100});
  values_only.SetPartitionBias(1.0);
  ExpectEqual(values_only);
}

TEST_P(AttentionTest, LogitsFarApartDoNotOverflow) {
  for (const int64_t tokens : {2, 20}) {
    AttentionCase c({.tokens = tokens, .rows = 300, .query_size = 40.0f});
    ExpectEqual(c);
  }
}

TEST_P(AttentionTest, SetsOfOneListMergeIntoTheSameOutput) {
  AttentionCase many({.tokens = 2, .group = 3, .rows = 900});
  AttentionCase few({.tokens = 2, .group = 3, .rows = 17});
  AttentionCase others({.tokens = 5, .group = 1, .rows = 250});
  ExpectMerged(many, few, others);
}

// Rows that start in the middle of a cache, at any multiple of their size, have
// the bits of those that start where memory is aligned.
TEST_P(AttentionTest, RowsOfACacheFromAnyOn) {
  constexpr int64_t kRows = 150;
  for (const RowFormat format : kRowFormats) {
    for (const int64_t dim : {12, 32, 64, 96}) {
      if (!Fits(format, dim)) continue;
      AttentionCase c(
          {.tokens = 2, .rows = kRows, .dim = dim, .format = format});
      PartialsBuffer none = c.EmptyPartials();
      const AttentionTask whole = c.Task(none.view());
      const int64_t bytes = kRows * RowBytes(format, dim);
      Buffer<std::byte> keys(bytes, tested_->mirror());
      Buffer<std::byte> values(bytes, tested_->mirror());
      std::copy_n(whole.rows.keys.data, bytes, keys.data());
      std::copy_n(whole.rows.values.data, bytes, values.data());
      WrittenByHost(*tested_, keys.span());
      WrittenByHost(*tested_, values.span());
      for (const int64_t first : {1, 2, 5, 100}) {
        PartialsBuffer actual = c.EmptyPartials(), staged = c.EmptyPartials();
        AttentionTask task = c.TaskOfRows(first, kRows - first, actual.view());
        task.rows.keys.data = keys.data() + first * RowBytes(format, dim);
        task.rows.values.data = values.data() + first * RowBytes(format, dim);
        tested_->Attend({{task}});
        tested_->Attend({{c.TaskOfRows(first, kRows - first, staged.view())}});
        ASSERT_TRUE(std::ranges::equal(actual.packed(), staged.packed()))
            << RowFormatName(format) << " " << dim << " from " << first;
      }
    }
  }
}

// Outputs have no row, one, and several sets, one of which nobody sees; what
// they hold before is of no say.
TEST_P(AttentionTest, FromEmptyIsSetEmptyThenAttend) {
  for (const int64_t tokens : {2, 40}) {
    AttentionCase none({.tokens = tokens, .group = 2, .rows = 0});
    AttentionCase one({.tokens = tokens, .group = 2, .rows = 1});
    AttentionCase many({.tokens = tokens, .group = 2, .rows = 130});
    AttentionCase unseen({.tokens = tokens, .group = 2, .rows = 70});
    unseen.SetPartitionBias(1.0);
    unseen.SetValueBias(1.0);
    std::vector<PartialsBuffer> actual(3), expected(3);
    for (int i = 0; i < 3; ++i) {
      actual[i] = none.EmptyPartials();
      expected[i] = none.EmptyPartials();
      for (float& x : actual[i].packed()) x = i == 1 ? NAN : 7.0f;
    }
    const auto tasks = [&](std::vector<PartialsBuffer>& out) {
      return std::vector<AttentionTask>{
          none.Task(out[0].view()),   unseen.Task(out[0].view()),
          one.Task(out[1].view()),    none.Task(out[2].view()),
          unseen.Task(out[2].view()), many.Task(out[2].view()),
          one.Task(out[2].view())};
    };
    tested_->AttendFromEmpty(tasks(actual));
    tested_->Attend(tasks(expected));
    for (int i = 0; i < 3; ++i) {
      ASSERT_TRUE(std::ranges::equal(actual[i].packed(), expected[i].packed()))
          << tokens << " tokens, output " << i;
      EXPECT_EQ(actual[i].view().partition[0] > 0.0f, i > 0);
    }
  }
}

// There are few queries (rows are shared out) and many (merging is on threads
// too).
TEST_P(AttentionTest, ResultsDoNotDependOnTiming) {
  for (const int64_t tokens : {2, 180}) {
    AttentionCase a({.tokens = tokens, .rows = 2000 / tokens});
    AttentionCase b({.tokens = tokens, .rows = 90 / tokens + 5});
    std::vector<float> first;
    for (int i = 0; i < 30; ++i) {
      PartialsBuffer out = a.EmptyPartials();
      tested_->Attend({{b.Task(out.view()), a.Task(out.view()),
                        b.Task(out.view()), a.Task(out.view())}});
      const std::vector<float> now(out.packed().begin(), out.packed().end());
      if (first.empty()) first = now;
      ASSERT_EQ(now, first);
    }
  }
}

class MassTest : public BackendTest {
 protected:
  void ExpectEqual(AttentionCase& c) {
    PartialsBuffer partials = c.EmptyPartials();
    reference_->Attend({{c.Task(partials.view())}});
    std::vector<float> log_partition(partials.view().rows());
    LogPartition(partials.view(), log_partition);
    double largest = 0.0;
    for (const float l : log_partition) {
      if (std::isfinite(l)) largest = std::max<double>(largest, std::abs(l));
    }
    std::vector<float> actual(c.rows(), 1.0f), expected(c.rows(), 1.0f);
    tested_->AccumulateMass({{c.MassTask(log_partition, actual)}});
    reference_->AccumulateMass({{c.MassTask(log_partition, expected)}});
    const double unit = c.RelativeError() + kUnit * (8 * largest + c.queries());
    for (int64_t j = 0; j < c.rows(); ++j) {
      ASSERT_NEAR(actual[j], expected[j], unit * expected[j]) << "row " << j;
    }
  }
};

TEST_P(MassTest, EqualsReference) {
  for (const int64_t rows : {0, 1, 64, 1000}) {
    for (const int64_t tokens : {1, 50}) {
      for (const int64_t dim : {20, 64}) {
        AttentionCase c(
            {.tokens = tokens, .group = 3, .rows = rows, .dim = dim});
        ExpectEqual(c);
        c.SetPartitionBias(0.3);
        ExpectEqual(c);
        c.SetCausal();
        ExpectEqual(c);
      }
    }
  }
}

TEST_P(MassTest, TasksOfOneListAddUp) {
  AttentionCase c({.tokens = 2, .group = 3, .rows = 300});
  std::vector<float> log_partition(6, 4.0f), twice(300), once(300);
  tested_->AccumulateMass(
      {{c.MassTask(log_partition, twice), c.MassTask(log_partition, twice)}});
  tested_->AccumulateMass({{c.MassTask(log_partition, once)}});
  for (int j = 0; j < 300; ++j) {
    // Rows are cut in other places, but the sums of a row are the same.
    ASSERT_EQ(twice[j], 2 * once[j]);
    ASSERT_GT(once[j], 0.0f);
  }
}

INSTANTIATE_TEST_SUITE_P(All, AttentionTest, testing::ValuesIn(BackendCases()),
                         BackendCaseName);
INSTANTIATE_TEST_SUITE_P(All, MassTest, testing::ValuesIn(BackendCases()),
                         BackendCaseName);

}  // namespace
}  // namespace subgen
