// Operations on numbers and rows that are no products: norms, rotations, sums.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "tests/kernels/backends/backend_case.h"
#include "tests/kernels/random_rows.h"

namespace subgen {
namespace {

using ElementWiseTest = BackendTest;

TEST_P(ElementWiseTest, RmsNormEqualsReference) {
  for (const int64_t cols : {1, 20, 64, 577, 4096}) {
    RandomMatrix input(9, cols, 1, 2), gain(1, cols, 2);
    RandomMatrix actual(9, cols, 3), expected(9, cols, 4);
    const Vector<const float> gains = gain.view().row(0);
    reference_->RmsNorm(input.view(), gains, 1e-5f, expected.view());
    tested_->RmsNorm(input.view(), gains, 1e-5f, actual.view());
    tested_->RmsNorm(input.view(), gains, 1e-5f, input.view());  // in place
    // The sum of squares has cols roundings, halved by the root; a few more
    // come after it.
    const double unit = kUnit * (cols / 2.0 + 8);
    for (int64_t i = 0; i < 9; ++i) {
      for (int64_t k = 0; k < cols; ++k) {
        const float wanted = expected.view().row(i)[k];
        ASSERT_NEAR(actual.view().row(i)[k], wanted, unit * std::abs(wanted));
        ASSERT_EQ(input.view().row(i)[k], actual.view().row(i)[k]);
      }
    }
  }
}

TEST_P(ElementWiseTest, RmsNormOfZerosIsZero) {
  std::vector<float> zeros(20), gain(20, 3.0f), out(20, 7.0f);
  tested_->RmsNorm({zeros.data(), 1, 20}, gain, 1e-6f, {out.data(), 1, 20});
  EXPECT_EQ(out, zeros);
}

TEST_P(ElementWiseTest, RotateEqualsReference) {
  for (const int64_t pairs : {1, 10, 32, 48}) {
    for (const bool interleaved : {false, true}) {
      Rotary rotary;
      for (int64_t i = 0; i < pairs; ++i) {
        rotary.inverse_frequency.push_back(std::pow(10000.0, -1.0 * i / pairs));
      }
      rotary.magnitude = interleaved ? 1.25 : 1.0;
      rotary.interleaved = interleaved;
      const int64_t head_dim = 2 * pairs + 6;  // the last 6 are not rotated
      // Angles are remembered, so the same positions come again, also as the
      // first of another rotation.
      for (const int64_t first : {100000, 0, 100000, 100000}) {
        const std::vector<int64_t> positions{first, first + 1, 5};
        RandomMatrix actual(3, 4 * head_dim, 1, 1),
            expected(3, 4 * head_dim, 1, 1);
        tested_->Rotate(rotary, positions, head_dim, actual.view());
        reference_->Rotate(rotary, positions, head_dim, expected.view());
        const double size =
            rotary.magnitude * 2 * LargestRowNorm(actual.view());
        for (size_t i = 0; i < actual.numbers().size(); ++i) {
          // The bound is for roundings of cosine and sine, two products and
          // their sum.
          ASSERT_NEAR(actual.numbers()[i], expected.numbers()[i],
                      4 * kUnit * size);
        }
      }
    }
  }
}

TEST_P(ElementWiseTest, GatedSiluEqualsReference) {
  RandomMatrix up(5, 1001, 1, 2), actual(5, 1001, 2), expected(5, 1001, 2);
  for (float& x : actual.numbers()) x *= 30.0f;
  actual.numbers()[0] = 200.0f;
  actual.numbers()[1] = -200.0f;
  expected.numbers() = actual.numbers();
  tested_->GatedSilu(up.view(), actual.view());
  reference_->GatedSilu(up.view(), expected.view());
  for (int64_t i = 0; i < 5; ++i) {
    for (int64_t k = 0; k < 1001; ++k) {
      // The bound is for exp to 2 units, a sum, a quotient and two products;
      // numbers below the normal range have no relative accuracy.
      const float wanted = expected.view().row(i)[k];
      ASSERT_NEAR(actual.view().row(i)[k], wanted,
                  8 * kUnit * std::abs(wanted) + 1e-37);
    }
  }
}

TEST_P(ElementWiseTest, AddAndAddRowAreExact) {
  RandomMatrix x(37, 1001, 1, 2), actual(37, 1001, 2, 1);
  RandomMatrix expected(37, 1001, 2, 1);
  tested_->Add(x.view(), actual.view());
  tested_->AddRow(x.view().row(3), actual.view());
  reference_->Add(x.view(), expected.view());
  reference_->AddRow(x.view().row(3), expected.view());
  EXPECT_EQ(actual.numbers(), expected.numbers());
}

INSTANTIATE_TEST_SUITE_P(All, ElementWiseTest,
                         testing::ValuesIn(BackendCases()), BackendCaseName);

}  // namespace
}  // namespace subgen
