// The specification is compared with numbers worked out by hand.
#include <gmock/gmock.h>

#include <cmath>
#include <numbers>
#include <vector>

#include "kernels/reference/dense.h"

namespace subgen {
namespace {

using testing::ElementsAre;
using testing::FloatEq;
using testing::FloatNear;
using testing::Pointwise;

WeightMatrix FloatWeight(const std::vector<float>& numbers, int64_t cols) {
  return {BlockFormat::kF32, reinterpret_cast<const std::byte*>(numbers.data()),
          static_cast<int64_t>(numbers.size()) / cols, cols,
          cols * static_cast<int64_t>(sizeof(float))};
}

TEST(ReferenceDense, LinearIsInputTimesTransposedWeight) {
  const std::vector<float> weight{1, 2, 3, 4, 5, 6};  // [3, 2]
  const std::vector<float> input{1, 10, -1, 0.5};     // [2, 2]
  std::vector<float> output(6);
  reference::Linear({input.data(), 2, 2}, FloatWeight(weight, 2),
                    {output.data(), 2, 3});
  EXPECT_THAT(output, ElementsAre(21, 43, 65, 0, -1, -2));
}

TEST(ReferenceDense, LinearSumsInDouble) {
  const std::vector<float> weight{1e8f, 1, -1e8f};
  const std::vector<float> input{1, 1, 1};
  std::vector<float> output(1);
  reference::Linear({input.data(), 1, 3}, FloatWeight(weight, 3),
                    {output.data(), 1, 1});
  EXPECT_EQ(output[0], 1.0f);
}

TEST(ReferenceDense, EmbedTakesRows) {
  const std::vector<float> table{1, 2, 3, 4, 5, 6};
  const std::vector<int> ids{2, 0};
  std::vector<float> output(4);
  reference::Embed(FloatWeight(table, 2), ids, {output.data(), 2, 2});
  EXPECT_THAT(output, ElementsAre(5, 6, 1, 2));
}

TEST(ReferenceDense, RmsNormDividesByTheRootMeanSquare) {
  std::vector<float> x{1, 7};  // mean square 25
  const std::vector<float> gain{10, 1};
  reference::RmsNorm({x.data(), 1, 2}, gain, 0.0f, {x.data(), 1, 2});
  EXPECT_THAT(x, ElementsAre(FloatEq(2.0f), FloatEq(1.4f)));
}

TEST(ReferenceDense, RmsNormAddsEpsilonUnderTheRoot) {
  std::vector<float> x{3, 3};
  const std::vector<float> gain{1, 1};
  reference::RmsNorm({x.data(), 1, 2}, gain, 7.0f, {x.data(), 1, 2});
  EXPECT_THAT(x, ElementsAre(FloatEq(0.75f), FloatEq(0.75f)));
}

// Two heads have 5 numbers, of which 4 are rotated: by a quarter and by a half
// of a circle.
TEST(ReferenceDense, RotateTurnsPairsOfEveryHead) {
  Rotary rotary;
  rotary.inverse_frequency = {std::numbers::pi / 2, std::numbers::pi};
  const std::vector<int64_t> positions{1};
  const std::vector<float> heads{1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  std::vector<float> apart = heads, together = heads;
  reference::Rotate(rotary, positions, 5, {apart.data(), 1, 10});
  EXPECT_THAT(apart, Pointwise(FloatNear(1e-6f),
                               {-3, -2, 1, -4, 5, -8, -7, 6, -9, 10}));
  rotary.interleaved = true;
  rotary.magnitude = 2.0;
  reference::Rotate(rotary, positions, 5, {together.data(), 1, 10});
  EXPECT_THAT(together, Pointwise(FloatNear(2e-6f),
                                  {-4, 2, -6, -8, 5, -14, 12, -16, -18, 10}));
}

TEST(ReferenceDense, GatedSilu) {
  std::vector<float> gate{0.0f, std::log(3.0f), -1000.0f};
  const std::vector<float> up{5, 4, 3};
  reference::GatedSilu({up.data(), 1, 3}, {gate.data(), 1, 3});
  // The second is log 3 / (1 + 1/3) * 4.
  EXPECT_THAT(gate, ElementsAre(0.0f, FloatEq(3 * std::log(3.0f)), 0.0f));
}

TEST(ReferenceDense, AddAndAddRow) {
  const std::vector<float> x{1, 2, 3, 4};
  std::vector<float> sum{10, 20, 30, 40};
  reference::Add({x.data(), 2, 2}, {sum.data(), 2, 2});
  EXPECT_THAT(sum, ElementsAre(11, 22, 33, 44));
  reference::AddRow(Vector<const float>(x).first(2), {sum.data(), 2, 2});
  EXPECT_THAT(sum, ElementsAre(12, 24, 34, 46));
}

TEST(ReferenceDenseDeathTest, ShapesThatDoNotFitAreBugs) {
  std::vector<float> x(6);
  const std::vector<int> ids{3};
  EXPECT_DEATH(
      reference::Linear({x.data(), 1, 3}, FloatWeight(x, 2), {x.data(), 1, 3}),
      "check failed");
  EXPECT_DEATH(reference::Embed(FloatWeight(x, 2), ids, {x.data(), 1, 2}),
               "check failed");
}

}  // namespace
}  // namespace subgen
