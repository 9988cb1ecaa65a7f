#include "kernels/memory/row_blocks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "kernels/quant/block_format.h"
#include "tests/kernels/random_rows.h"

namespace subgen {
namespace {

constexpr RowFormat kQuantized[] = {RowFormat::kQ8, RowFormat::kQ4,
                                    RowFormat::kQ3};

std::vector<std::byte> Encoded(RowFormat format,
                               const std::vector<float>& row) {
  std::vector<std::byte> bytes(RowBytes(format, row.size()));
  EncodeRow(format, row, bytes.data());
  return bytes;
}

std::vector<float> Decoded(RowFormat format, const std::vector<std::byte>& row,
                           int64_t dim) {
  std::vector<float> numbers(dim);
  DecodeRow(format, row.data(), numbers);
  return numbers;
}

std::vector<float> ThereAndBack(RowFormat format,
                                const std::vector<float>& row) {
  return Decoded(format, Encoded(format, row), row.size());
}

// Returns half of the largest scale that a range of [low, high] in `levels` may
// have, and the roundings of encoding and decoding: a few units of the largest
// number.
double HalfScale(double low, double high, int levels) {
  // f16 keeps 11 bits of a scale and of a minimum, and no less than 2^-24.
  const double lower = low - std::max(std::abs(low) * 0x1p-10, 0x1p-24);
  const double exact = (high - lower) / levels;
  const double scale = std::max(exact * (1 + 0x1p-10), exact + 0x1p-24);
  return 0.5 * scale + 8 * kUnit * (std::abs(low) + std::abs(high));
}

// Returns blocks of many sizes and places.
std::vector<std::vector<float>> SomeBlocks(int64_t dim) {
  std::vector<std::vector<float>> blocks;
  for (const float size : {1e-6f, 1e-3f, 1.0f, 300.0f}) {
    for (const float shift : {0.0f, 5.0f, -5.0f}) {
      RandomMatrix numbers(50, dim, 1);
      for (int64_t i = 0; i < 50; ++i) {
        const Vector<const float> row = numbers.view().row(i);
        std::vector<float>& block = blocks.emplace_back();
        for (const float x : row) block.push_back(size * (x + shift));
      }
    }
  }
  return blocks;
}

std::vector<float> OnLevels(const std::vector<float>& block, int levels) {
  std::byte header[4];
  std::vector<uint8_t> quants(block.size());
  QuantizeBlock(block, levels, header, quants.data());
  uint16_t scale, minimum;
  std::memcpy(&scale, header, 2);
  std::memcpy(&minimum, header + 2, 2);
  std::vector<float> back;
  for (const uint8_t q : quants) {
    EXPECT_LE(q, levels);
    back.push_back(F16ToFloat(minimum) + F16ToFloat(scale) * q);
  }
  return back;
}

double SquaredError(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0.0;
  for (size_t i = 0; i < a.size(); ++i) sum += std::pow(double{a[i]} - b[i], 2);
  return sum;
}

TEST(RowBlocks, BytesAreThoseOfTheLayout) {
  EXPECT_EQ(RowBytes(RowFormat::kQ8, 64), 2 * 34);
  EXPECT_EQ(RowBytes(RowFormat::kQ4, 64), 36);
  EXPECT_EQ(RowBytes(RowFormat::kQ4, 96), 3 * 20);
  EXPECT_EQ(RowBytes(RowFormat::kQ3, 128), 2 * 28);
  EXPECT_EQ(RowBytes(RowFormat::kQ3, 32), 16);
}

TEST(RowBlocks, LevelsLieWithinHalfAScaleOfTheNumbers) {
  for (const int levels : {3, 7, 15, 255}) {
    for (const auto& block : SomeBlocks(32)) {
      const auto back = OnLevels(block, levels);
      const auto [low, high] = std::minmax_element(block.begin(), block.end());
      const double bound = HalfScale(*low, *high, levels);
      for (size_t i = 0; i < block.size(); ++i) {
        ASSERT_NEAR(back[i], block[i], bound) << levels;
      }
    }
  }
}

TEST(RowBlocks, EightBitsComeBackWithinHalfAScale) {
  for (const auto& block : SomeBlocks(32)) {
    const auto back = ThereAndBack(RowFormat::kQ8, block);
    double largest = 0.0;
    for (const float x : block)
      largest = std::max<double>(largest, std::abs(x));
    for (size_t i = 0; i < block.size(); ++i) {
      ASSERT_NEAR(back[i], block[i], HalfScale(0.0, largest, 127));
    }
  }
}

TEST(RowBlocks, CutRangesHaveNoMoreErrorThanWholeOnes) {
  for (const auto& [format, levels] :
       {std::pair(RowFormat::kQ4, 15), std::pair(RowFormat::kQ3, 7)}) {
    double cut = 0.0, whole = 0.0;
    for (const auto& block : SomeBlocks(64)) {
      const double error = SquaredError(ThereAndBack(format, block), block);
      const double of_whole = SquaredError(OnLevels(block, levels), block);
      // Both are compared as sums of 64 floats.
      ASSERT_LE(error, of_whole * (1 + 64 * kUnit));
      cut += error;
      whole += of_whole;
    }
    // Normal numbers have a twentieth and a seventh less error, in simulation 7
    // % and 19 %.
    EXPECT_LT(cut, (levels == 15 ? 0.95 : 0.86) * whole);
  }
}

TEST(RowBlocks, OutliersAreNotCut) {
  for (const RowFormat format : {RowFormat::kQ4, RowFormat::kQ3}) {
    for (std::vector<float> block : SomeBlocks(64)) {
      const auto [low, high] = std::minmax_element(block.begin(), block.end());
      const float before = *low, range = *high - *low;
      block[17] = before + 5 * range;
      const auto back = ThereAndBack(format, block);
      const int levels = format == RowFormat::kQ4 ? 15 : 7;
      ASSERT_NEAR(back[17], block[17], HalfScale(before, block[17], levels));
    }
  }
}

TEST(RowBlocks, RowsAreTheirBlocksOneBehindTheOther) {
  for (const RowFormat format : kQuantized) {
    for (const int64_t dim : {96, 128, 256}) {
      RandomMatrix numbers(1, dim, 6);
      const auto row = ThereAndBack(format, numbers.numbers());
      const int64_t size = RowBlock(format, dim);
      for (int64_t first = 0; first < dim; first += size) {
        const std::vector<float> block(
            numbers.numbers().begin() + first,
            numbers.numbers().begin() + first + size);
        const auto back = ThereAndBack(format, block);
        for (int64_t i = 0; i < size; ++i) ASSERT_EQ(row[first + i], back[i]);
      }
    }
  }
}

// The numbers are 0 to 7 thrice over: scale 1, minimum 0, and bits that are
// written down.
TEST(RowBlocks, ThreeBitsByHand) {
  std::vector<float> row(32);
  for (int i = 0; i < 32; ++i) row[i] = static_cast<float>(i % 8);
  const auto bytes = Encoded(RowFormat::kQ3, row);
  // The bits are 111 110 101 100 011 010 001 000, highest number first.
  const uint8_t three[] = {0b10001000, 0b11000110, 0b11111010};
  ASSERT_EQ(bytes.size(), 16u);
  EXPECT_EQ(std::to_integer<int>(bytes[1]) << 8, 0x3c00);  // 1.0 as f16
  EXPECT_EQ(std::to_integer<int>(bytes[3]), 0);
  for (int i = 0; i < 12; ++i) {
    EXPECT_EQ(std::to_integer<uint8_t>(bytes[4 + i]), three[i % 3]) << i;
  }
  EXPECT_EQ(Decoded(RowFormat::kQ3, bytes, 32), row);
}

TEST(RowBlocks, WideFourBitsByHand) {
  std::vector<float> row(64);
  for (int i = 0; i < 64; ++i) row[i] = static_cast<float>(i * 7 % 16) - 3.0f;
  const auto bytes = Encoded(RowFormat::kQ4, row);
  for (int i = 0; i < 32; ++i) {
    EXPECT_EQ(std::to_integer<int>(bytes[4 + i]),
              i * 7 % 16 + ((i + 32) * 7 % 16 << 4));
  }
  EXPECT_EQ(Decoded(RowFormat::kQ4, bytes, 64), row);
}

// Where blocks have 32 numbers they are those of model files.
TEST(RowBlocks, EightAndFourBitsAreReadAsGgufBlocks) {
  RandomMatrix numbers(1, 96, 4);
  for (const auto& [format, block] :
       {std::pair(RowFormat::kQ8, BlockFormat::kQ8_0),
        std::pair(RowFormat::kQ4, BlockFormat::kQ4_1)}) {
    const auto bytes = Encoded(format, numbers.numbers());
    std::vector<float> as_weights(96);
    Dequantize(block, bytes.data(), as_weights);
    EXPECT_EQ(Decoded(format, bytes, 96), as_weights);
  }
}

// A scale is rounded up by at most 2^-10 of itself.
TEST(RowBlocks, EqualNumbersAreKept) {
  for (const RowFormat format : kQuantized) {
    for (const float x : {0.0f, 0.5f, -3.0f, 64.0f}) {
      const std::vector<float> row(64, x);
      const auto back = ThereAndBack(format, row);
      for (const float b : back) {
        EXPECT_NEAR(b, x, format == RowFormat::kQ8 ? std::abs(x) / 1024 : 0.0);
      }
    }
  }
}

TEST(RowBlocks, WhatIsNotFiniteComesBackAsNaNInItsBlockOnly) {
  for (const RowFormat format : kQuantized) {
    for (const float bad : {std::numeric_limits<float>::infinity(),
                            -std::numeric_limits<float>::infinity(),
                            std::numeric_limits<float>::quiet_NaN()}) {
      for (const int place : {128, 140, 191}) {
        std::vector<float> row(256, 1.0f);
        row[place] = bad;
        const auto back = ThereAndBack(format, row);
        EXPECT_TRUE(std::isnan(back[place]));
        EXPECT_EQ(back[64], back[0]);
        EXPECT_FALSE(std::isnan(back[0]));
      }
    }
  }
}

TEST(RowBlocks, LargeNumbersAreNotWrapped) {
  for (const RowFormat format : kQuantized) {
    std::vector<float> row(64, 60000.0f);
    row[3] = -60000.0f;
    const auto back = ThereAndBack(format, row);
    EXPECT_NEAR(back[3], -60000.0f, 500.0);
    EXPECT_NEAR(back[4], 60000.0f, 500.0);
    row[5] = 3e38f;  // beyond f16: anything but an undefined conversion
    ThereAndBack(format, row);
  }
}

TEST(RowBlocks, ConvertingIsDecodingAndEncoding) {
  RandomMatrix numbers(1, 64, 9);
  const auto bf16 = Encoded(RowFormat::kBF16, numbers.numbers());
  const auto want =
      Encoded(RowFormat::kQ4, Decoded(RowFormat::kBF16, bf16, 64));
  std::vector<std::byte> got(want.size());
  ConvertRow(RowFormat::kBF16, bf16.data(), 64, RowFormat::kQ4, got.data());
  EXPECT_EQ(got, want);
  std::vector<std::byte> same(want.size());
  ConvertRow(RowFormat::kQ4, want.data(), 64, RowFormat::kQ4, same.data());
  EXPECT_EQ(same, want);
}

}  // namespace
}  // namespace subgen
