// Every instruction set that multiplies tiles is compared with the same sums in
// plain integers and floats: the bits are the same, or within their roundings.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "kernels/backend.h"
#include "kernels/cpu/tiles/tile_set.h"
#include "tests/kernels/cpu_targets.h"
#include "tests/kernels/random_rows.h"
#include "tests/support/gguf_writer.h"

namespace subgen::cpu {
namespace {

// These are quants of a token as numbers, and the memory that instructions
// read.
struct Token {
  Token(int64_t cols, int seed) : quants(cols), scales(cols / kBlockQuants) {
    std::mt19937 random(seed);
    // Tokens also have the largest of one sign throughout, where sums are
    // largest.
    std::uniform_int_distribution<int> quant(-32639, 32639);
    std::uniform_real_distribution<float> scale(0.5f, 2.0f);
    for (int& x : quants) x = seed % 3 == 0 ? -32639 : quant(random);
    for (float& x : scales) x = scale(random);
  }

  int Count(int64_t b, int64_t first = 0, int64_t last = kBlockQuants) const {
    int count = 0;
    for (int64_t k = first; k < last; ++k) {
      count += quants[b * kBlockQuants + k];
    }
    return count;
  }

  void Write(QuantOrder order, const QuantizedToken& out) const {
    for (size_t b = 0; b < scales.size(); ++b) {
      std::byte* const to = out.quants + b * kBlockQuantBytes;
      for (int64_t k = 0; k < kBlockQuants; ++k) {
        const int quant = quants[b * kBlockQuants + k];
        if (order == QuantOrder::kWords) {
          constexpr int kPlaces[] = {0, 2, 1, 3};
          const auto word = static_cast<int16_t>(quant);
          std::memcpy(to + 2 * (k / 4 * 4 + kPlaces[k % 4]), &word, 2);
        } else {
          const int high = static_cast<int>(std::floor((quant + 128) / 256.0));
          to[k] = static_cast<std::byte>(high);
          to[kBlockQuants + k] = static_cast<std::byte>(quant - 256 * high);
        }
      }
      out.scales[b] = scales[b];
      out.counts[b] = Count(b);
      out.half_counts[b][0] = Count(b, 0, 16);
      out.half_counts[b][1] = Count(b, 16, 32);
      out.sums[b] = scales[b] * static_cast<float>(Count(b));
    }
  }

  std::vector<int> quants;
  std::vector<float> scales;
};

// This is a block of one row of a weight: scale * quant + minimum.
struct Block {
  Block(BlockFormat format, const std::byte* from) {
    const auto byte = [&](int64_t i) { return std::to_integer<int>(from[i]); };
    float pair[2] = {};
    const bool has_minimum = format == BlockFormat::kQ4_1;
    DecodeRow(RowFormat::kF16, from, {pair, size_t{1} + has_minimum});
    scale = pair[0];
    minimum = pair[1];
    for (int64_t k = 0; k < 32; ++k) {
      if (format == BlockFormat::kQ8_0) {
        quants[k] = static_cast<int8_t>(byte(2 + k));
      } else {
        const int both = byte((has_minimum ? 4 : 2) + k % 16);
        quants[k] = (k < 16 ? both & 15 : both >> 4) - (has_minimum ? 0 : 8);
      }
    }
  }

  float scale, minimum;
  int quants[32];
};

// Computes the product as documented: exact dots, 16 blocks after one another,
// those in order.
float Product(const WeightMatrix& weight, int64_t row, const Token& token) {
  float total = 0.0f, sum = 0.0f;
  const int64_t blocks = weight.cols / kBlockQuants;
  for (int64_t b = 0; b < blocks; ++b) {
    const Block block(weight.format,
                      weight.row(row) + b * BlockBytes(weight.format));
    int64_t dot = 0;
    for (int64_t k = 0; k < kBlockQuants; ++k) {
      dot += int64_t{block.quants[k]} * token.quants[b * kBlockQuants + k];
    }
    EXPECT_LT(std::abs(dot), int64_t{1} << 31);
    const float scale = block.scale * token.scales[b];
    sum = std::fma(static_cast<float>(dot), scale, sum);
    if (weight.format == BlockFormat::kQ4_1) {
      const float count = token.scales[b] * static_cast<float>(token.Count(b));
      sum = std::fma(block.minimum, count, sum);
    }
    if (b % 16 == 15 || b + 1 == blocks) {
      total += sum;
      sum = 0.0f;
    }
  }
  return total;
}

class TileProductsTest : public testing::TestWithParam<const TileSet*> {
 protected:
  void SetUp() override {
    if (!GetParam()->present()) {
      GTEST_SKIP() << "this processor has no " << GetParam()->name;
    }
  }

  // Checks rows from the tile of `first` on.
  void ExpectProducts(const WeightMatrix& weight, int64_t first,
                      const std::vector<Token>& tokens) {
    const auto count = static_cast<int64_t>(tokens.size());
    std::vector<float> memory(QuantizedTokens::Floats(count, weight.cols));
    const QuantizedTokens quantized(memory.data(), weight.cols);
    for (int64_t i = 0; i < count; ++i) {
      tokens[i].Write(GetParam()->order, quantized.token(i));
    }
    std::vector<float> output(count * weight.rows, -1.0f);
    LinearPart part;
    part.input = {nullptr, count, weight.cols};
    part.weight = &weight;
    part.output = {output.data(), count, weight.rows};
    part.first = first;
    part.count = weight.rows - first;
    std::byte* const scratch = pages_.Take(TileSet::ScratchBytes(part));
    GetParam()->multiply(part, quantized, scratch);
    for (int64_t i = 0; i < count; ++i) {
      for (int64_t j = 0; j < weight.rows; ++j) {
        ASSERT_EQ(output[i * weight.rows + j],
                  j < first ? -1.0f : Product(weight, j, tokens[i]))
            << BlockFormatName(weight.format) << " token " << i << " of "
            << count << ", row " << j << " of " << weight.rows;
      }
    }
  }

 private:
  HugePages pages_;
};

// Returns random blocks, with a scale (and a minimum) of its own for each.
std::vector<std::byte> Blocks(BlockFormat format, int64_t rows, int64_t cols) {
  std::vector<std::byte> blocks = RandomBlocks(format, rows * cols, 7);
  const auto bytes = static_cast<size_t>(BlockBytes(format));
  uint16_t half = 0x2c00;  // of the 1,024 from 1/16 on
  for (size_t at = 0; at < blocks.size(); at += bytes) {
    std::memcpy(&blocks[at], &half, sizeof(half));
    half = 0x2c00 + (half + 37) % 1024;
    if (format == BlockFormat::kQ4_1) {
      std::memcpy(&blocks[at + sizeof(half)], &half, sizeof(half));
    }
  }
  return blocks;
}

TEST_P(TileProductsTest, HasTheBitsOfPlainSums) {
  for (const BlockFormat format :
       {BlockFormat::kQ4_0, BlockFormat::kQ4_1, BlockFormat::kQ8_0}) {
    for (const int64_t cols : {32, 576, 1056}) {
      for (const int64_t rows : {1, 8, 9, 16, 17, 31, 45, 64}) {
        const auto blocks = Blocks(format, rows, cols);
        WeightMatrix weight = {format, blocks.data(), rows, cols, 0};
        weight.row_stride = weight.row_bytes();
        for (const int tokens : {1, 3, 11, 21}) {
          std::vector<Token> some;
          for (int i = 0; i < tokens; ++i) some.emplace_back(cols, i);
          ExpectProducts(weight, rows > 16 ? 16 : 0, some);
        }
      }
    }
  }
}

// Quants of 255 and -128 meet the largest of tokens.
TEST_P(TileProductsTest, HoldsTheLargestProducts) {
  for (const BlockFormat format :
       {BlockFormat::kQ4_0, BlockFormat::kQ4_1, BlockFormat::kQ8_0}) {
    for (const int fill : {0x00, 0x7f, 0x80, 0xff}) {
      std::vector<std::byte> blocks(16 * BlockBytes(format), std::byte(fill));
      for (int64_t r = 0; r < 16; ++r) {
        const uint16_t one[2] = {0x3c00, 0x3c00};
        std::memcpy(blocks.data() + r * BlockBytes(format), one,
                    format == BlockFormat::kQ4_1 ? 4 : 2);
      }
      WeightMatrix weight = {format, blocks.data(), 16, 32, 0};
      weight.row_stride = weight.row_bytes();
      Token most(32, 0), least(32, 0), low(32, 0);
      std::fill(most.quants.begin(), most.quants.end(), 32639);
      std::fill(low.quants.begin(), low.quants.end(), 127 * 256 - 128);
      ExpectProducts(weight, 0, {most, least, low, most, low});
    }
  }
}

// Tokens are rounded alike too: a machine's answer does not depend on which of
// the instruction sets it has.
TEST(TileTargetsTest, GiveTheSameBits) {
  int sets = 0;
  for (const std::string& name : InstructionSetsOfMachine()) {
    sets += UseSet(name).tiles != nullptr;
  }
  UseSet("auto");
  if (sets < 2) GTEST_SKIP() << "fewer than two sets with tiles";
  AllTiles::ForEach([]<class Tile>() {
    const auto blocks = RandomBlocks(Tile::kFormat, 45 * 1280, 7);
    WeightMatrix weight = {Tile::kFormat, blocks.data(), 45, 1280, 0};
    weight.row_stride = weight.row_bytes();
    for (const int64_t tokens : {3, 7, 19}) {
      RandomMatrix input(tokens, 1280, 1);
      input.view().row(1)[70] = std::numeric_limits<float>::infinity();
      std::fill_n(input.view().row(2).begin(), 64, 0.0f);
      std::vector<uint32_t> first;
      for (const std::string& name : InstructionSetsOfMachine()) {
        if (UseSet(name).tiles == nullptr) continue;
        RandomMatrix output(tokens, 45, 2);
        MakeCpuBackend(2)->Linear(input.view(), weight, output.view());
        std::vector<uint32_t> bits;
        for (const float x : output.numbers()) {
          // What is not a number may be any.
          bits.push_back(std::isnan(x) ? 0 : std::bit_cast<uint32_t>(x));
        }
        if (first.empty()) first = bits;
        EXPECT_EQ(bits, first) << BlockFormatName(Tile::kFormat) << " " << name;
      }
    }
  });
  UseSet("auto");
}

// Tiles have as many bytes as the blocks of the file that they are made of.
TEST(TilesTest, AreAsLargeAsTheirBlocks) {
  AllTiles::ForEach([]<class Tile>() {
    const int64_t blocks =
        kTileRows * Tile::kBlocks * kBlockCols / BlockSize(Tile::kFormat);
    EXPECT_EQ(static_cast<int64_t>(sizeof(Tile)),
              blocks * BlockBytes(Tile::kFormat))
        << BlockFormatName(Tile::kFormat);
  });
}

INSTANTIATE_TEST_SUITE_P(All, TileProductsTest,
                         testing::ValuesIn(TileSets().begin(),
                                           TileSets().end()),
                         [](const auto& info) {
                           return std::string(info.param->name);
                         });
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(TileProductsTest);

}  // namespace
}  // namespace subgen::cpu
