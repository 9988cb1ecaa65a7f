#include "kernels/top_numbers.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "kernels/backend.h"

namespace subgen {
namespace {

std::vector<int> Columns(const RowTop& top) {
  std::vector<int> columns;
  for (const TopNumber& number : top.best) columns.push_back(number.column);
  return columns;
}

RowTop ReferenceTop(std::vector<float> row, int64_t most, float scale) {
  std::vector<float> packed(TopWidth(most));
  const int64_t columns = row.size(), width = packed.size();
  MakeReferenceBackend()->Top(Matrix<const float>(row.data(), 1, columns),
                              {&scale, 1},
                              Matrix<float>(packed.data(), 1, width));
  return ReadTop(packed, columns);
}

TEST(TopTest, OfFiveNumbersByHand) {
  const RowTop top = ReferenceTop({1.0f, 3.0f, -2.0f, 3.0f, 2.0f}, 3, 0.5f);
  EXPECT_EQ(Columns(top), (std::vector<int>{1, 3, 4}));
  EXPECT_EQ(top.best[2].value, 2.0f);
  EXPECT_TRUE(top.finite);
  EXPECT_FALSE(top.whole());
  EXPECT_NEAR(top.sum, 2 + std::exp(-0.5) + std::exp(-1.0) + std::exp(-2.5),
              1e-6);
}

TEST(TopTest, ZerosAreEqualWhateverTheirSign) {
  EXPECT_EQ(Columns(ReferenceTop({-0.0f, 0.0f, -0.0f}, 3, 0.0f)),
            (std::vector<int>{0, 1, 2}));
}

TEST(TopTest, WhatIsNotFiniteIsTold) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const RowTop top = ReferenceTop({-kInfinity, 1.0f, 2.0f}, 3, 1.0f);
  EXPECT_EQ(Columns(top), (std::vector<int>{2, 1, 0}));
  EXPECT_FALSE(top.finite);
  EXPECT_NEAR(top.sum, 1 + std::exp(-1.0), 1e-6);
  EXPECT_FALSE(ReferenceTop({1.0f, NAN}, 1, 1.0f).finite);
}

// Parts of any size, empty ones too, give what the whole row gives.
TEST(TopTest, PartsMerge) {
  std::vector<float> row;
  for (int i = 0; i < 40; ++i) row.push_back(static_cast<float>(i * 7 % 11));
  const RowTop whole = ReferenceTop(row, 6, 0.3f);
  std::vector<std::vector<float>> packed;
  std::vector<TopPart> parts;
  size_t first = 0;
  for (const size_t size : {3, 0, 20, 1, 16}) {
    packed.emplace_back(TopWidth(6));
    WriteTop(ReferenceTop({row.begin() + first, row.begin() + first + size}, 6,
                          0.3f),
             packed.back());
    first += size;
  }
  size_t i = 0;
  for (const int64_t size : {3, 0, 20, 1, 16})
    parts.push_back({packed[i++], size});
  const RowTop merged = MergeTops(parts, 0.3f);
  EXPECT_EQ(merged.columns, 40);
  EXPECT_EQ(Columns(merged), Columns(whole));
  EXPECT_NEAR(merged.sum, whole.sum, 1e-6 * whole.sum);
  EXPECT_TRUE(merged.finite);
}

}  // namespace
}  // namespace subgen
