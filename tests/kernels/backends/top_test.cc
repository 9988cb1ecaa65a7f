// These test the largest numbers of rows, beside the reference.
#include <cmath>
#include <limits>
#include <vector>

#include "tests/kernels/backends/backend_case.h"
#include "tests/kernels/random_rows.h"

namespace subgen {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

class TopTest : public BackendTest {
 protected:
  // Compares rows of every size and most; row i has scale i / 2, so the first
  // has none.
  void Compare(RandomMatrix& rows, int64_t most) {
    const int64_t width = TopWidth(most), count = rows.view().rows;
    std::vector<float> scales;
    for (int64_t i = 0; i < count; ++i) {
      scales.push_back(0.5f * static_cast<float>(i));
    }
    RandomMatrix actual(count, width, 1, 3), expected(count, width, 2);
    tested_->Top(rows.view(), scales, actual.view());
    reference_->Top(rows.view(), scales, expected.view());
    for (int64_t i = 0; i < count; ++i) {
      const Vector<const float> a = actual.view().row(i);
      const Vector<const float> e = expected.view().row(i);
      for (int64_t j = 0; j < most; ++j) {
        ASSERT_EQ(a[j], e[j]) << Say(rows, most) << i << " " << j;
        ASSERT_EQ(std::bit_cast<int>(a[most + j]),
                  std::bit_cast<int>(e[most + j]))
            << Say(rows, most) << i << " " << j;
      }
      const double sum = e[2 * most];
      ASSERT_NEAR(a[2 * most], sum, kTopSumError * sum) << Say(rows, most) << i;
      ASSERT_EQ(a[2 * most + 1], e[2 * most + 1]) << Say(rows, most) << i;
    }
  }
  static std::string Say(RandomMatrix& rows, int64_t most) {
    return std::to_string(most) + " of " + std::to_string(rows.view().cols) +
           ", row ";
  }
};

// Rows are around the sizes of blocks, tiles and parts, and more is asked for
// than there is.
TEST_P(TopTest, AreThoseOfTheReference) {
  for (const int64_t cols : {0, 1, 5, 255, 257, 1024, 1025, 9000, 33000}) {
    for (const int64_t most : {1, 2, 40, 256}) {
      RandomMatrix rows(4, cols, 11, 7);
      for (float& x : rows.numbers()) x *= 6.0f;
      ASSERT_NO_FATAL_FAILURE(Compare(rows, most));
    }
  }
  RandomMatrix none(0, 300, 1);
  ASSERT_NO_FATAL_FAILURE(Compare(none, 3));
}

// Equal numbers come in the order of columns, over tiles.
TEST_P(TopTest, TiesAreInOrderOfColumns) {
  for (const int64_t cols : {30, 2500}) {
    for (const int64_t most : {1, 7, 256}) {
      RandomMatrix few(3, cols, 5), zeros(3, cols, 6);
      for (float& x : few.numbers()) x = std::round(x);
      for (float& x : zeros.numbers()) x = std::copysign(0.0f, x);
      ASSERT_NO_FATAL_FAILURE(Compare(few, most));
      ASSERT_NO_FATAL_FAILURE(Compare(zeros, most));
    }
  }
}

// There is nothing but -inf in whole tiles; sums are of the others.
TEST_P(TopTest, NumbersMayBeInfinite) {
  for (const int64_t most : {1, 9}) {
    RandomMatrix rows(3, 3000, 5);
    for (int64_t i = 0; i < 3; ++i) {
      const Vector<float> row = rows.view().row(i);
      for (int64_t j = 0; j < 2995; ++j) row[j] = -kInfinity;
    }
    ASSERT_NO_FATAL_FAILURE(Compare(rows, most));
  }
}

TEST_P(TopTest, OneThatIsNotFiniteIsTold) {
  for (const float bad : {kInfinity, -kInfinity, NAN, -NAN}) {
    for (const int64_t at : {0, 299, 1999}) {
      RandomMatrix rows(2, 2000, 5);
      rows.view().row(1)[at] = bad;
      const std::vector<float> scales = {1.0f, 1.0f};
      RandomMatrix tops(2, TopWidth(3), 1);
      tested_->Top(rows.view(), scales, tops.view());
      EXPECT_TRUE(ReadTop(tops.view().row(0), 2000).finite);
      EXPECT_FALSE(ReadTop(tops.view().row(1), 2000).finite)
          << bad << " " << at;
    }
  }
}

// There are numbers from the smallest to the largest that there are.
TEST_P(TopTest, OrderHoldsOverAllMagnitudes) {
  RandomMatrix rows(1, 1500, 3);
  for (int64_t j = 0; j < 1500; ++j) {
    float& x = rows.view().row(0)[j];
    x = std::ldexp(x, static_cast<int>(j * 17 % 270) - 145);
  }
  ASSERT_NO_FATAL_FAILURE(Compare(rows, 256));
}

INSTANTIATE_TEST_SUITE_P(All, TopTest, testing::ValuesIn(BackendCases()),
                         BackendCaseName);

}  // namespace
}  // namespace subgen
