// These test what merges softmax partials of several ranks, on each backend
// beside the sums in double.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "tests/kernels/backends/backend_case.h"
#include "tests/kernels/random_rows.h"

namespace subgen {
namespace {

constexpr float kEmpty = -std::numeric_limits<float>::infinity();
constexpr double kSpread = 40.0;  // of max_logit

using PartialsTest = BackendTest;

// Returns partials of one rank; about a third of the rows are empty, and row 0.
PartialsBuffer RandomPartials(int64_t rows, int64_t dim, int seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> logit(-kSpread / 2, kSpread / 2);
  std::normal_distribution<float> number(0.0f, 5.0f);
  PartialsBuffer partials(rows, dim);
  const SoftmaxPartials view = partials.Resize(rows);
  SetEmpty(view);
  for (int64_t i = 1; i < rows; ++i) {
    if (random() % 3 == 0) continue;
    view.max_logit[i] = logit(random);
    view.partition[i] = std::abs(number(random)) + 1.0f;
    for (float& x : view.weighted.row(i)) x = number(random);
  }
  return partials;
}

// The bound is for each part: an exponential within 2 units of its true value,
// the rounded difference in it, a product and a sum. The 1 % covers higher
// orders.
double Bound(int parts, double magnitude) {
  return 1.01 * (4 * parts + kSpread) * kUnit * magnitude;
}

TEST_P(PartialsTest, MergePackedIsTheSumOfTheParts) {
  for (const auto& [rows, dim, parts] : {std::array<int64_t, 3>{1, 1, 1},
                                         {7, 19, 2},
                                         {33, 64, 3},
                                         {5, 256, 8}}) {
    std::vector<float> packed;
    std::vector<PartialsBuffer> all;
    for (int64_t part = 0; part < parts; ++part) {
      all.push_back(RandomPartials(rows, dim, 100 + part));
      const Vector<float> numbers = all.back().packed();
      packed.insert(packed.end(), numbers.begin(), numbers.end());
    }
    PartialsBuffer merged = RandomPartials(rows, dim, 1);  // overwritten
    tested_->MergePacked(packed, merged.view());
    for (int64_t i = 0; i < rows; ++i) {
      float max = kEmpty;
      for (auto& part : all) max = std::max(max, part.view().max_logit[i]);
      ASSERT_EQ(merged.view().max_logit[i], max);
      for (int64_t column = -1; column < dim; ++column) {
        double sum = 0.0, magnitude = 0.0;
        for (auto& part : all) {
          const SoftmaxPartials from = part.view();
          if (from.max_logit[i] == kEmpty) continue;
          const double number =
              column < 0 ? from.partition[i] : from.weighted.row(i)[column];
          const double term =
              std::exp(double{from.max_logit[i]} - max) * number;
          sum += term;
          magnitude += std::abs(term);
        }
        const float actual = column < 0 ? merged.view().partition[i]
                                        : merged.view().weighted.row(i)[column];
        ASSERT_NEAR(actual, sum, Bound(parts, magnitude)) << i << " " << column;
      }
    }
  }
}

TEST_P(PartialsTest, SetEmptyIsThatOfTheHost) {
  for (const auto& [rows, dim] :
       {std::array<int64_t, 2>{0, 8}, {1, 1}, {7, 19}, {33, 64}, {300, 5}}) {
    PartialsBuffer actual = RandomPartials(rows, dim, 1);
    PartialsBuffer expected = RandomPartials(rows, dim, 2);
    tested_->SetEmpty(actual.view());
    SetEmpty(expected.view());
    EXPECT_TRUE(std::ranges::equal(actual.packed(), expected.packed()));
  }
  // Numbers between rows of a wider matrix stay.
  RandomMatrix weighted(5, 12, 1, 3), before(5, 12, 1, 3);
  std::vector<float> max(5, 1.0f), partition(5, 1.0f);
  tested_->SetEmpty({max, partition, weighted.view()});
  for (int64_t i = 0; i < 5 * 15; ++i) {
    EXPECT_EQ(weighted.numbers()[i], i % 15 < 12 ? 0.0f : before.numbers()[i]);
  }
}

TEST_P(PartialsTest, RescaleMultipliesByTheDifferenceOfScales) {
  constexpr int64_t kRows = 21, kDim = 70;
  PartialsBuffer before = RandomPartials(kRows, kDim, 3);
  PartialsBuffer after = RandomPartials(kRows, kDim, 3);
  std::vector<float> own(before.view().max_logit.begin(),
                         before.view().max_logit.end());
  for (int64_t i = 0; i < kRows; i += 2) after.view().max_logit[i] += 1.5f;
  after.view().max_logit[0] = 3.0f;  // empty here, but not elsewhere
  after.view().weighted.row(0)[0] = NAN;
  after.view().partition[0] = INFINITY;
  tested_->RescalePartials(own, after.view());
  for (int64_t i = 0; i < kRows; ++i) {
    const double factor =
        own[i] == kEmpty ? 0.0 : std::exp(own[i] - after.view().max_logit[i]);
    const auto expect = [&](float actual, float from) {
      const double wanted = own[i] == kEmpty ? 0.0 : from * factor;
      ASSERT_NEAR(actual, wanted, Bound(1, std::abs(wanted))) << i;
    };
    expect(after.view().partition[i], before.view().partition[i]);
    for (int64_t c = 0; c < kDim; ++c) {
      expect(after.view().weighted.row(i)[c], before.view().weighted.row(i)[c]);
    }
  }
}

TEST_P(PartialsTest, NaNSpreads) {
  PartialsBuffer merged(1, 1), part(1, 1);
  const SoftmaxPartials view = part.Resize(1);
  view.max_logit[0] = 1.0f;
  view.partition[0] = view.weighted.row(0)[0] = 1.0f;
  std::vector<float> packed(part.packed().begin(), part.packed().end());
  packed.insert(packed.end(), {NAN, 1.0f, 1.0f});
  tested_->MergePacked(packed, merged.Resize(1));
  EXPECT_TRUE(std::isnan(merged.view().weighted.row(0)[0]));
  view.max_logit[0] = NAN;
  tested_->RescalePartials(std::vector<float>{1.0f}, view);
  EXPECT_TRUE(std::isnan(view.partition[0]));
}

INSTANTIATE_TEST_SUITE_P(All, PartialsTest, testing::ValuesIn(BackendCases()),
                         BackendCaseName);

}  // namespace
}  // namespace subgen
