#include "kernels/memory/row_format.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

namespace subgen {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

uint32_t Bits(float x) { return std::bit_cast<uint32_t>(x); }

// These are the compiler's own conversions.
#ifdef __ARM_FP16_FORMAT_IEEE
using Half = __fp16;
#else
using Half = _Float16;
#endif

float CompilerF16ToFloat(uint16_t bits) {
  Half half;
  std::memcpy(&half, &bits, 2);
  return static_cast<float>(half);
}

uint16_t CompilerFloatToF16(float x) {
  const Half half = static_cast<Half>(x);
  uint16_t bits;
  std::memcpy(&bits, &half, 2);
  return bits;
}

// Rounds to nearest even by its definition: of the two neighbors the nearer, of
// two as near the one with an even last bit. The number is finite, not near
// overflow.
uint16_t NearestBF16(float x) {
  const auto below = static_cast<uint16_t>(Bits(x) >> 16);  // towards zero
  const auto above = static_cast<uint16_t>(below + 1);
  const double to_below = std::abs(double{x} - BF16ToFloat(below));
  const double to_above = std::abs(double{x} - BF16ToFloat(above));
  if (to_below != to_above) return to_below < to_above ? below : above;
  return below % 2 == 0 ? below : above;
}

std::vector<float> RandomFloats() {
  std::mt19937 random(1);
  std::vector<float> floats;
  for (int i = 0; i < 200000; ++i) {  // all exponents
    floats.push_back(std::bit_cast<float>(static_cast<uint32_t>(random())));
  }
  std::uniform_real_distribution<float> exponent(-27.0f, 17.0f);
  for (int i = 0; i < 200000; ++i) {  // those of f16
    floats.push_back(std::exp2(exponent(random)) * (i % 2 ? 1.0f : -1.0f));
  }
  return floats;
}

TEST(F16, AllValuesAreReadAsTheCompilerReadsThem) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const float actual = F16ToFloat(static_cast<uint16_t>(bits));
    const float expected = CompilerF16ToFloat(static_cast<uint16_t>(bits));
    if (std::isnan(expected)) {
      ASSERT_TRUE(std::isnan(actual)) << bits;
    } else {
      ASSERT_EQ(Bits(actual), Bits(expected)) << bits;
    }
  }
}

TEST(F16, AllValuesSurviveARoundTrip) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const float value = F16ToFloat(static_cast<uint16_t>(bits));
    if (std::isnan(value)) {
      ASSERT_TRUE(std::isnan(F16ToFloat(FloatToF16(value)))) << bits;
    } else {
      ASSERT_EQ(FloatToF16(value), bits);
    }
  }
}

TEST(F16, RoundsAsTheCompilerDoes) {
  for (const float x : RandomFloats()) {
    if (std::isnan(x)) {
      ASSERT_TRUE(std::isnan(F16ToFloat(FloatToF16(x))));
    } else {
      ASSERT_EQ(FloatToF16(x), CompilerFloatToF16(x)) << x;
    }
  }
}

// The numbers are halfway between two neighbors, and a hair to either side.
TEST(F16, TiesGoToEven) {
  for (uint16_t bits = 0; bits < 0x7bff; ++bits) {
    const float low = F16ToFloat(bits), high = F16ToFloat(bits + 1);
    const float middle = low + (high - low) / 2;
    ASSERT_EQ(FloatToF16(middle), bits + bits % 2);
    ASSERT_EQ(FloatToF16(std::nextafter(middle, 0.0f)), bits);
    ASSERT_EQ(FloatToF16(std::nextafter(middle, kInfinity)), bits + 1);
  }
}

TEST(F16, OverflowsToInfinity) {
  EXPECT_EQ(FloatToF16(65519.996f), 0x7bff);  // largest, 65504
  EXPECT_EQ(FloatToF16(65520.0f), 0x7c00);
  EXPECT_EQ(FloatToF16(-kInfinity), 0xfc00);
}

TEST(BF16, AllValuesSurviveARoundTrip) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const float value = BF16ToFloat(static_cast<uint16_t>(bits));
    if (std::isnan(value)) {
      ASSERT_TRUE(std::isnan(BF16ToFloat(FloatToBF16(value)))) << bits;
    } else {
      ASSERT_EQ(FloatToBF16(value), bits);
    }
  }
}

TEST(BF16, RoundsToNearestEven) {
  for (const float x : RandomFloats()) {
    if (std::isfinite(x) && std::abs(x) < 1e38f) {
      ASSERT_EQ(FloatToBF16(x), NearestBF16(x)) << x;
    }
  }
  EXPECT_EQ(FloatToBF16(1.0f + 0x1p-8f), FloatToBF16(1.0f));  // tie, even below
  EXPECT_EQ(BF16ToFloat(FloatToBF16(1.0f + 3 * 0x1p-8f)), 1.0f + 0x1p-6f);
  EXPECT_EQ(BF16ToFloat(FloatToBF16(3.4e38f)), kInfinity);
}

TEST(BF16, NaNWithLowBitsOnlyStaysNaN) {
  const float nan = std::bit_cast<float>(uint32_t{0x7f800001});
  EXPECT_TRUE(std::isnan(BF16ToFloat(FloatToBF16(nan))));
}

TEST(RowFormat, EncodesRowsByItsNumbers) {
  const std::vector<float> row{1.0f, -2.5f, 0.1f};
  for (const RowFormat format :
       {RowFormat::kF32, RowFormat::kBF16, RowFormat::kF16}) {
    std::vector<std::byte> bytes(RowBytes(format, 3));
    std::vector<float> back(3);
    EncodeRow(format, row, bytes.data());
    DecodeRow(format, bytes.data(), back);
    EXPECT_EQ(back[0], 1.0f);
    EXPECT_EQ(back[1], -2.5f);
    const float third = format == RowFormat::kF32 ? 0.1f
                        : format == RowFormat::kBF16
                            ? BF16ToFloat(FloatToBF16(0.1f))
                            : F16ToFloat(FloatToF16(0.1f));
    EXPECT_EQ(back[2], third);
  }
  EXPECT_EQ(RowBytes(RowFormat::kF32, 5), 20);
  EXPECT_EQ(RowBytes(RowFormat::kBF16, 5), 10);
  EXPECT_EQ(RowBytes(RowFormat::kF16, 5), 10);
}

TEST(RowFormat, NamesGoBothWays) {
  for (const char* name : {"f32", "bf16", "f16", "q8", "q4", "q3"}) {
    EXPECT_EQ(RowFormatName(ParseRowFormat(name).value()), name);
  }
  EXPECT_EQ(ParseRowFormat("q3").value(), RowFormat::kQ3);
  const auto status = ParseRowFormat("q5").status();
  EXPECT_EQ(status.message(),
            "row format 'q5': legal are f32, bf16, f16, q8, q4, q3");
}

}  // namespace
}  // namespace subgen
