// These test attention of more tokens than a device may take in float32.
#include <algorithm>
#include <cmath>
#include <vector>

#include "tests/kernels/backends/attention_comparison.h"

namespace subgen {
namespace {

class PromptAttentionTest : public AttentionComparison {};

TEST_P(PromptAttentionTest, EqualsReferenceForAllHeadSizesAndRowFormats) {
  for (const RowFormat format : kRowFormats) {
    for (const int64_t dim :
         {16, 20, 48, 64, 72, 80, 96, 112, 128, 144, 192, 208, 256}) {
      if (!Fits(format, dim)) continue;
      for (const int64_t rows : {1, 63, 130}) {
        SCOPED_TRACE(testing::Message() << RowFormatName(format) << " dim "
                                        << dim << " rows " << rows);
        AttentionCase c({.tokens = 22,
                         .rows = rows,
                         .dim = dim,
                         .format = format,
                         .bf16 = true});
        ExpectEqual(c);
      }
    }
  }
}

TEST_P(PromptAttentionTest, EqualsReferenceForAllGroupsWithBothBiases) {
  for (int group = 1; group <= 8; ++group) {
    for (const int64_t rows : {0, 1, 64, 65, 300}) {
      SCOPED_TRACE(testing::Message() << "group " << group << " rows " << rows);
      AttentionCase c(
          {.tokens = 17 + group, .group = group, .rows = rows, .bf16 = true});
      c.SetPartitionBias(0.3);
      ExpectEqual(c);
      c.SetValueBias(0.3);
      ExpectEqual(c);
      c.ShareBias();
      ExpectEqual(c);
    }
  }
}

TEST_P(PromptAttentionTest, QueriesSeeRowsUpToTheirToken) {
  for (const int64_t tokens : {17, 43, 100}) {
    for (const int64_t dim : {32, 128}) {
      SCOPED_TRACE(testing::Message() << tokens << " tokens, dim " << dim);
      AttentionCase own(
          {.tokens = tokens, .rows = tokens, .dim = dim, .bf16 = true});
      own.SetOwnTokens();
      ExpectEqual(own);
      AttentionCase any(
          {.tokens = tokens, .rows = 333, .dim = dim, .bf16 = true});
      any.SetCausal();
      ExpectEqual(any);
      any.SetPartitionBias(0.1);
      any.SetValueBias(0.1);
      ExpectEqual(any);
    }
  }
}

// Where there are as many rows as tokens, fewer queries see the last ones than
// a tile has.
TEST_P(PromptAttentionTest, RowsThatNoQuerySees) {
  AttentionCase c({.tokens = 20, .group = 2, .rows = 400, .bf16 = true});
  c.SetOwnTokens();
  ExpectEqual(c);
}

TEST_P(PromptAttentionTest, ManyRows) {
  AttentionCase c({.tokens = 30, .group = 4, .rows = 3000, .bf16 = true});
  ExpectEqual(c);
  AttentionCase causal(
      {.tokens = 100, .group = 1, .rows = 4300, .dim = 256, .bf16 = true});
  causal.SetCausal();
  ExpectEqual(causal);
}

TEST_P(PromptAttentionTest, NumbersThatAreNotOfBF16) {
  for (const RowFormat format : {RowFormat::kF32, RowFormat::kF16}) {
    AttentionCase c({.tokens = 30, .rows = 200, .format = format});
    ExpectEqual(c);
  }
}

// This is inside a chunk, where the cache has 16 bits.
TEST_P(PromptAttentionTest, RowsOfFloatsThatMayBeRounded) {
  for (const int64_t tokens : {17, 100}) {
    for (const int64_t dim : {32, 80}) {
      SCOPED_TRACE(testing::Message() << tokens << " tokens, dim " << dim);
      AttentionCase c({.tokens = tokens,
                       .rows = tokens,
                       .dim = dim,
                       .format = RowFormat::kF32,
                       .may_round = true});
      c.SetOwnTokens();
      ExpectEqual(c);
    }
  }
}

TEST_P(PromptAttentionTest, RowsWithoutValues) {
  AttentionCase c(
      {.tokens = 20, .rows = 130, .has_values = false, .bf16 = true});
  ExpectEqual(c);
  c.SetPartitionBias(0.5);
  ExpectEqual(c);
}

TEST_P(PromptAttentionTest, RowsOfOneSumOnlyOrOfNone) {
  AttentionCase partition_only({.tokens = 20, .rows = 100, .bf16 = true});
  partition_only.SetValueBias(1.0);
  ExpectEqual(partition_only);
  AttentionCase values_only({.tokens = 20, .rows = 100, .bf16 = true});
  values_only.SetPartitionBias(1.0);
  ExpectEqual(values_only);
  values_only.SetValueBias(1.0);
  ExpectEqual(values_only);
}

TEST_P(PromptAttentionTest, LogitsFarApartDoNotOverflow) {
  for (const float size : {40.0f, -40.0f, 3000.0f}) {
    AttentionCase c(
        {.tokens = 20, .rows = 300, .query_size = size, .bf16 = true});
    ExpectEqual(c);
  }
}

TEST_P(PromptAttentionTest, SetsOfOneListMergeIntoTheSameOutput) {
  const auto of = [](int64_t rows, RowFormat format) {
    return AttentionShape{
        .tokens = 20, .rows = rows, .format = format, .bf16 = true};
  };
  AttentionCase many(of(500, RowFormat::kBF16)), few(of(17, RowFormat::kF32));
  AttentionCase decoded({.tokens = 2, .rows = 250});
  ExpectMerged(many, few, decoded);
}

// However the rows are cut, over blocks or ranks, logits are the same, and so
// are rounded weights, but for one in some 10,000 that lies between two numbers
// of bf16. What is left are the sums; other weights would be off in each query.
TEST_P(PromptAttentionTest, RoundingsOfWeightsDoNotDependOnOtherRows) {
  constexpr int64_t kRows = 400;
  AttentionCase c(
      {.tokens = 100, .rows = kRows, .query_size = 4.0f, .bf16 = true});
  PartialsBuffer whole = c.EmptyPartials();
  tested_->Attend({{c.Task(whole.view())}});
  double largest = 0.0;
  for (const float max : whole.view().max_logit) {
    largest = std::max<double>(largest, std::abs(max));
  }
  const double of_sums = kUnit * (kRows + 32 + 8 * largest);
  for (const int64_t first : {1, 77, 256}) {
    PartialsBuffer parts = c.EmptyPartials();
    tested_->Attend({{c.TaskOfRows(first, kRows - first, parts.view())}});
    tested_->Attend({{c.TaskOfRows(0, first, parts.view())}});
    int off = 0;
    for (int64_t i = 0; i < c.queries(); ++i) {
      const double sum = whole.view().partition[i];
      const double shift = whole.view().max_logit[i];
      const double scale = std::exp(parts.view().max_logit[i] - shift);
      if (std::abs(parts.view().partition[i] * scale - sum) > of_sums * sum) {
        ++off;
      }
    }
    EXPECT_LE(off, c.queries() / 50) << "cut at " << first;
  }
}

// Its weight is the same in both sums.
TEST_P(PromptAttentionTest, OneRowGivesItsValue) {
  AttentionCase c({.tokens = 20, .rows = 1, .bf16 = true});
  PartialsBuffer out = c.EmptyPartials();
  tested_->Attend({{c.Task(out.view())}});
  const SoftmaxPartials view = out.view();
  const std::vector<float> value = c.DecodedValues();
  for (int64_t i = 0; i < view.rows(); ++i) {
    for (int64_t j = 0; j < c.dim(); ++j) {
      ASSERT_NEAR(view.weighted.row(i)[j] / view.partition[i], value[j],
                  8 * kUnit * std::abs(value[j]));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, PromptAttentionTest,
                         testing::ValuesIn(BackendCases()), BackendCaseName);

}  // namespace
}  // namespace subgen
