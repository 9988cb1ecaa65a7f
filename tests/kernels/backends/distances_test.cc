#include <cmath>
#include <vector>

#include "tests/kernels/backends/backend_case.h"
#include "tests/kernels/random_rows.h"

namespace subgen {
namespace {

class ClusteringTest : public BackendTest {};

TEST_P(ClusteringTest, DistancesEqualReference) {
  for (const RowFormat format : kRowFormats) {
    for (const int64_t dim : {1, 20, 32, 64, 80, 256}) {
      if (!Fits(format, dim)) continue;
      for (const int64_t count : {0, 1, 3, 257, 1000}) {
        RandomMatrix rows(count, dim, 1), point(1, dim, 2);
        const StoredRows stored(format, rows.view());
        std::vector<float> actual(count), expected(count);
        tested_->Distances({{{point.view().row(0), stored.rows(), actual}}});
        reference_->Distances(
            {{{point.view().row(0), stored.rows(), expected}}});
        for (int64_t j = 0; j < count; ++j) {
          // The bound is for a difference, its square and dim additions of
          // positive numbers.
          ASSERT_NEAR(actual[j], expected[j], kUnit * (dim + 4) * expected[j])
              << RowFormatName(format) << " dim " << dim << " row " << j;
        }
      }
    }
  }
}

TEST_P(ClusteringTest, DistancesOfDirectionsEqualReference) {
  for (const RowFormat format : kRowFormats) {
    for (const int64_t dim : {1, 20, 32, 64, 80, 256}) {
      if (!Fits(format, dim)) continue;
      for (const int64_t count : {0, 1, 3, 257}) {
        RandomMatrix rows(count, dim, 1), point(1, dim, 2);
        const StoredRows stored(format, rows.view());
        std::vector<float> actual(count), expected(count);
        tested_->Distances(
            {{{point.view().row(0), stored.rows(), actual, true}}});
        reference_->Distances(
            {{{point.view().row(0), stored.rows(), expected, true}}});
        for (int64_t j = 0; j < count; ++j) {
          // The bound is of 2 cos: dim products whose absolute sum is at most
          // |p||r|, each norm by half of as much, and a few roundings of
          // numbers up to 4.
          ASSERT_NEAR(actual[j], expected[j], kUnit * (4 * dim + 16))
              << RowFormatName(format) << " dim " << dim << " row " << j;
        }
      }
    }
  }
}

TEST_P(ClusteringTest, DirectionsByHand) {
  float rows[] = {0, 0, 3e-12f, 0, -5e11f, 0, 7, 7};
  const Rows four = FloatRows({rows, 4, 2});
  std::vector<float> squared(4);
  for (Backend* backend : {tested_.get(), reference_.get()}) {
    const std::vector<float> right = {2, 0}, nothing = {0, 0};
    backend->Distances({{{right, four, squared, true}}});
    EXPECT_EQ(squared[0], 1.0f);  // a zero vector has no direction
    EXPECT_NEAR(squared[1], 0.0, 8 * kUnit);
    EXPECT_NEAR(squared[2], 4.0, 8 * kUnit);
    EXPECT_NEAR(squared[3], 2.0 - std::sqrt(2.0), 8 * kUnit);
    backend->Distances({{{nothing, four, squared, true}}});
    EXPECT_EQ(squared, (std::vector<float>{0, 1, 1, 1}));
  }
}

// Rows are read once for several points, which have the same bits as each
// alone.
TEST_P(ClusteringTest, PointsOfTheSameRowsChangeNothing) {
  for (const RowFormat format : kRowFormats) {
    for (const bool directions : {false, true}) {
      constexpr int64_t kDim = 64, kRows = 301, kPoints = 7;
      RandomMatrix rows(kRows, kDim, 1), points(kPoints, kDim, 2);
      const StoredRows stored(format, rows.view());
      std::vector<float> alone(kRows), together(kPoints * kRows);
      std::vector<DistanceTask> tasks;
      for (int64_t p = 0; p < kPoints; ++p) {
        tasks.push_back({points.view().row(p), stored.rows(),
                         Vector<float>(together).subspan(p * kRows, kRows),
                         directions});
      }
      tested_->Distances(tasks);
      for (int64_t p = 0; p < kPoints; ++p) {
        tested_->Distances(
            {{{points.view().row(p), stored.rows(), alone, directions}}});
        ASSERT_TRUE(std::equal(alone.begin(), alone.end(),
                               together.begin() + p * kRows))
            << RowFormatName(format) << " point " << p;
      }
    }
  }
}

TEST_P(ClusteringTest, DistanceToItselfIsZero) {
  RandomMatrix rows(5, 80, 1);
  const StoredRows stored(RowFormat::kF32, rows.view());
  std::vector<float> squared(5);
  tested_->Distances({{{rows.view().row(3), stored.rows(), squared}}});
  for (int64_t j = 0; j < 5; ++j) EXPECT_EQ(squared[j] == 0.0f, j == 3);
}

TEST_P(ClusteringTest, TasksKeepTheirOwnResults) {
  RandomMatrix few(3, 64, 1), many(900, 64, 2), points(2, 64, 3);
  const StoredRows a(RowFormat::kBF16, few.view());
  const StoredRows b(RowFormat::kF16, many.view());
  std::vector<float> together_a(3), together_b(900), alone_a(3), alone_b(900);
  tested_->Distances({{{points.view().row(0), a.rows(), together_a},
                       {points.view().row(1), b.rows(), together_b}}});
  tested_->Distances({{{points.view().row(0), a.rows(), alone_a}}});
  tested_->Distances({{{points.view().row(1), b.rows(), alone_b}}});
  EXPECT_EQ(together_a, alone_a);
  EXPECT_EQ(together_b, alone_b);
}

INSTANTIATE_TEST_SUITE_P(All, ClusteringTest, testing::ValuesIn(BackendCases()),
                         BackendCaseName);

}  // namespace
}  // namespace subgen
