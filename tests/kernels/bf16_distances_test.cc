// Distances in dot products of bf16 are compared with sums in double.
#include "kernels/cpu/cache/bf16_distances.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "tests/kernels/random_rows.h"

namespace subgen::cpu {
namespace {

struct Case {
  int64_t points, rows, dim;
};

class BF16DistancesTest : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    if (!HasBF16Distances(RowFormat::kBF16, GetParam().dim)) {
      GTEST_SKIP() << "this processor has no dot products of bf16";
    }
  }

  // Returns [points, rows], in two parts.
  std::vector<float> Compute(const Rows& points, const Rows& rows,
                             bool directions) {
    std::vector<float> squared(points.count * rows.count, -1.0f);
    const RowDistances task = {
        points, rows, directions, {squared.data(), points.count, rows.count}};
    std::vector<float> scratch(BF16DistanceScratch(task));
    const int64_t first = rows.count / 3;
    BF16DistanceRows(task, {0, first}, scratch.data());
    BF16DistanceRows(task, {first, rows.count - first}, scratch.data());
    return squared;
  }
};

TEST_P(BF16DistancesTest, EqualSumsInDouble) {
  const auto [count, row_count, dim] = GetParam();
  RandomMatrix some(count, dim, 1), many(row_count, dim, 2);
  const StoredRows points(RowFormat::kBF16, some.view());
  const StoredRows rows(RowFormat::kBF16, many.view());
  const std::vector<float> x = points.Decoded(), y = rows.Decoded();
  for (const bool directions : {false, true}) {
    const auto squared = Compute(points.rows(), rows.rows(), directions);
    for (int64_t i = 0; i < count; ++i) {
      for (int64_t j = 0; j < row_count; ++j) {
        double dot = 0.0, xx = 0.0, yy = 0.0;
        for (int64_t k = 0; k < dim; ++k) {
          const double a = x[i * dim + k], b = y[j * dim + k];
          dot += a * b;
          xx += a * a;
          yy += b * b;
        }
        const double size = directions ? 2.0 : xx + yy;
        const double expected = directions
                                    ? 2.0 - 2.0 * dot / std::sqrt(xx * yy)
                                    : xx + yy - 2.0 * dot;
        ASSERT_NEAR(squared[i * row_count + j], expected,
                    kUnit * (dim + 8) * size)
            << i << " " << j << " " << directions;
      }
    }
  }
}

TEST_P(BF16DistancesTest, RowsThatAreAlikeAreAtZero) {
  const auto [count, row_count, dim] = GetParam();
  RandomMatrix many(std::max(count, row_count), dim, 3);
  const StoredRows rows(RowFormat::kBF16, many.view());
  Rows points = rows.rows(), all = rows.rows();
  points.count = count;
  all.count = row_count;
  const auto squared = Compute(points, all, false);
  for (int64_t i = 0; i < std::min(count, row_count); ++i) {
    EXPECT_EQ(squared[i * row_count + i], 0.0f) << i;
  }
}

// How tokens are split over calls changes nothing.
TEST_P(BF16DistancesTest, APointDoesNotDependOnTheOthers) {
  const auto [count, row_count, dim] = GetParam();
  RandomMatrix some(count, dim, 6), many(row_count, dim, 7);
  const StoredRows points(RowFormat::kBF16, some.view());
  const StoredRows rows(RowFormat::kBF16, many.view());
  for (const bool directions : {false, true}) {
    const auto all = Compute(points.rows(), rows.rows(), directions);
    for (int64_t i = 0; i < count; ++i) {
      Rows one = points.rows();
      one.data = one.row(i);
      one.count = 1;
      const auto alone = Compute(one, rows.rows(), directions);
      for (int64_t j = 0; j < row_count; ++j) {
        ASSERT_EQ(alone[j], all[i * row_count + j]) << i << " " << j;
      }
    }
  }
}

TEST_P(BF16DistancesTest, ZerosPointNowhereAndNaNsStay) {
  const auto [count, row_count, dim] = GetParam();
  RandomMatrix some(count, dim, 4), many(row_count, dim, 5);
  for (float& x : some.view().row(0)) x = 0.0f;
  many.view().row(row_count - 1)[dim / 2] =
      std::numeric_limits<float>::quiet_NaN();
  const StoredRows points(RowFormat::kBF16, some.view());
  const StoredRows rows(RowFormat::kBF16, many.view());
  const auto squared = Compute(points.rows(), rows.rows(), true);
  for (int64_t j = 0; j + 1 < row_count; ++j) EXPECT_EQ(squared[j], 1.0f) << j;
  for (int64_t i = 0; i < count; ++i) {
    EXPECT_TRUE(std::isnan(squared[(i + 1) * row_count - 1])) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, BF16DistancesTest,
                         testing::Values(Case{1, 1, 32}, Case{1, 40, 64},
                                         Case{3, 17, 96}, Case{7, 50, 128},
                                         Case{8, 16, 32}, Case{19, 45, 64},
                                         Case{33, 70, 256}),
                         [](const auto& info) {
                           return absl::StrCat(info.param.points, "x",
                                               info.param.rows, "x",
                                               info.param.dim);
                         });

}  // namespace
}  // namespace subgen::cpu
