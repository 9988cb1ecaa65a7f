#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>

#include "kernels/quant/block_format.h"
#include "tests/support/gguf_writer.h"

namespace subgen {
namespace {

constexpr BlockFormat kAll[] = {
    BlockFormat::kF32,   BlockFormat::kF16,  BlockFormat::kBF16,
    BlockFormat::kQ4_0,  BlockFormat::kQ4_1, BlockFormat::kQ5_0,
    BlockFormat::kQ5_1,  BlockFormat::kQ8_0, BlockFormat::kQ4_K,
    BlockFormat::kQ5_K,  BlockFormat::kQ6_K, BlockFormat::kIQ4_NL,
    BlockFormat::kIQ4_XS};

class Dequantization : public testing::TestWithParam<BlockFormat> {};

// The vectors are of the `gguf` package: tests/golden/make_quant_vectors.py.
TEST_P(Dequantization, EqualsGgufPackageBitForBit) {
  const BlockFormat format = GetParam();
  const std::string path =
      absl::StrCat(SUBGEN_SOURCE_DIR "/tests/golden/quant/",
                   BlockFormatName(format), ".bin");
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  ASSERT_GT(bytes.size(), 4u) << path;
  uint32_t count;
  std::memcpy(&count, bytes.data(), 4);
  const size_t block_bytes = count / BlockSize(format) * BlockBytes(format);
  ASSERT_EQ(bytes.size(), 4 + block_bytes + 4 * count);
  const char* blocks = bytes.data() + 4;

  std::vector<uint32_t> expected(count);
  std::memcpy(expected.data(), blocks + block_bytes, 4 * count);
  std::vector<float> actual(count);
  Dequantize(format, reinterpret_cast<const std::byte*>(blocks), actual);

  for (uint32_t i = 0; i < count; ++i) {
    ASSERT_EQ(std::bit_cast<uint32_t>(actual[i]), expected[i])
        << "number " << i << ": " << actual[i] << " instead of "
        << std::bit_cast<float>(expected[i]);
  }
}

// The toy models' content is finite, of mean about 0 and deviation about 0.05.
TEST_P(Dequantization, RandomBlocksAreSane) {
  constexpr int kCount = 64 * 256;
  const auto blocks = RandomBlocks(GetParam(), kCount, 5);
  std::vector<float> values(kCount);
  Dequantize(GetParam(), blocks.data(), values);

  double sum = 0, squares = 0;
  for (float value : values) {
    ASSERT_TRUE(std::isfinite(value));
    sum += value;
    squares += value * value;
  }

  // The K formats have sub-blocks of 32 with a common offset: 512 independent
  // means, of deviation below 0.05 each, hence 5 sigma = 5 * 0.05 / sqrt(512).
  EXPECT_NEAR(sum / kCount, 0.0, 0.0111);
  EXPECT_NEAR(std::sqrt(squares / kCount), 0.05, 0.01);
}

TEST_P(Dequantization, RangesOfAMatrixAreRangesOfItsNumbers) {
  const BlockFormat format = GetParam();
  const int64_t size = BlockSize(format), rows = 5, cols = 3 * size;
  const auto blocks = RandomBlocks(format, rows * cols, 6);
  const WeightMatrix whole{format, blocks.data(), rows, cols,
                           cols / size * BlockBytes(format)};
  std::vector<float> values(rows * cols);
  Dequantize(format, blocks.data(), values);

  const WeightMatrix part =
      whole.RowRange(1, 3).ColumnRange(size, 2 * size).RowRange(1, 2);

  ASSERT_EQ(part.rows, 2);
  ASSERT_EQ(part.cols, 2 * size);
  EXPECT_EQ(part.row_bytes(), 2 * BlockBytes(format));
  std::vector<float> row(part.cols);
  for (int64_t i = 0; i < part.rows; ++i) {
    Dequantize(format, part.row(i), row);
    for (int64_t j = 0; j < part.cols; ++j) {
      EXPECT_EQ(row[j], values[(i + 2) * cols + size + j]) << i << ", " << j;
    }
  }
  EXPECT_EQ(whole.RowRange(5, 0).rows, 0);
  EXPECT_EQ(whole.ColumnRange(cols, 0).row_bytes(), 0);
}

INSTANTIATE_TEST_SUITE_P(Formats, Dequantization, testing::ValuesIn(kAll),
                         [](const auto& info) {
                           return std::string(BlockFormatName(info.param));
                         });

TEST(BlockFormatTest, KnowsItsNumbers) {
  for (BlockFormat format : kAll) {
    EXPECT_EQ(BlockFormatFromGguf(static_cast<uint32_t>(format)), format);
  }
  // These are removed formats, formats that the engine does not read, and one
  // beyond the last.
  for (uint32_t type :
       {4u, 5u, 9u, 10u, 15u, 21u, 24u, 31u, 1000u, 0xffffffffu}) {
    EXPECT_EQ(BlockFormatFromGguf(type), std::nullopt) << type;
  }
}

TEST(WeightMatrixDeathTest, RefusesRangesOutsideOrInsideABlock) {
  const auto blocks = RandomBlocks(BlockFormat::kQ8_0, 4 * 64, 1);
  const WeightMatrix matrix{BlockFormat::kQ8_0, blocks.data(), 4, 64, 68};
  EXPECT_DEATH(matrix.RowRange(3, 2), "rows");
  EXPECT_DEATH(matrix.RowRange(-1, 2), "rows");
  EXPECT_DEATH(matrix.ColumnRange(32, 64), "columns");
  EXPECT_DEATH(matrix.ColumnRange(16, 32), "blocks of 32");
  std::vector<float> out(33);
  EXPECT_DEATH(Dequantize(BlockFormat::kQ8_0, blocks.data(), out),
               "blocks of 32");
}

}  // namespace
}  // namespace subgen
