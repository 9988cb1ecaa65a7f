#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "tests/kernels/backends/backend_case.h"
#include "tests/kernels/random_rows.h"
#include "tests/support/gguf_writer.h"

namespace subgen {
namespace {

constexpr BlockFormat kAll[] = {
    BlockFormat::kF32,   BlockFormat::kF16,  BlockFormat::kBF16,
    BlockFormat::kQ4_0,  BlockFormat::kQ4_1, BlockFormat::kQ5_0,
    BlockFormat::kQ5_1,  BlockFormat::kQ8_0, BlockFormat::kQ4_K,
    BlockFormat::kQ5_K,  BlockFormat::kQ6_K, BlockFormat::kIQ4_NL,
    BlockFormat::kIQ4_XS};

struct Weight {
  Weight(BlockFormat format, int64_t rows, int64_t cols)
      : blocks(RandomBlocks(format, rows * cols, 7)),
        matrix{format, blocks.data(), rows, cols, 0} {
    matrix.row_stride = matrix.row_bytes();
  }
  Weight(const Weight&) = delete;

  std::vector<std::byte> blocks;
  WeightMatrix matrix;
};

// Calls of(token, row) for each token and row of the weight, dequantized.
template <class Of>
std::vector<double> ForProducts(Matrix<const float> input,
                                const WeightMatrix& weight, Of of) {
  std::vector<double> sums;
  std::vector<float> row(weight.cols);
  for (int64_t j = 0; j < weight.rows; ++j) {
    Dequantize(weight.format, weight.row(j), row);
    for (int64_t i = 0; i < input.rows; ++i) {
      sums.push_back(of(input.row(i), row));
    }
  }
  return sums;
}

// Returns the sum of |input weight|, what the rounding of a sum of products
// scales with.
std::vector<double> SumOfMagnitudes(Matrix<const float> input,
                                    const WeightMatrix& weight) {
  return ForProducts(input, weight, [](auto token, const auto& row) {
    double sum = 0.0;
    for (size_t k = 0; k < row.size(); ++k) {
      sum += std::abs(static_cast<double>(row[k]) * token[k]);
    }
    return sum;
  });
}

// Returns what rounding tokens to 16 bits may change: half a scale, which is
// 1/32,639 of the largest of 32 numbers, times |weight|. A hundredth more is
// for roundings of float32 where the scale and the minimum of a block nearly
// cancel.
std::vector<double> RoundingTo16Bits(Matrix<const float> input,
                                     const WeightMatrix& weight) {
  return ForProducts(input, weight, [](auto token, const auto& row) {
    double sum = 0.0;
    for (size_t k = 0; k < row.size(); k += 32) {
      float largest = 0.0f;
      double size = 0.0;
      for (size_t l = k; l < k + 32; ++l) {
        largest = std::max(largest, std::abs(token[l]));
        size += std::abs(row[l]);
      }
      sum += 1.01 * largest / 32639 / 2 * size;
    }
    return sum;
  });
}

class DenseTest : public BackendTest {
 protected:
  LinearRounding RoundingOf(const WeightMatrix& weight, int64_t tokens) {
    return GetParam().linear_rounding(weight, tokens);
  }

  std::vector<double> Rounding(Matrix<const float> input,
                               const WeightMatrix& weight) {
    switch (RoundingOf(weight, input.rows)) {
      case LinearRounding::kTokensTo16Bits:
        return RoundingTo16Bits(input, weight);
      case LinearRounding::kBothToBF16: {
        std::vector<double> sums = SumOfMagnitudes(input, weight);
        // There are two factors, each off by half of the last of 8 bits.
        for (double& sum : sums) sum *= 2 * 0x1p-8 + 0x1p-16;
        return sums;
      }
      case LinearRounding::kNone:
        break;
    }
    return std::vector<double>(input.rows * weight.rows);
  }

  void ExpectLinearEqual(const WeightMatrix& weight, int64_t tokens) {
    RandomMatrix input(tokens, weight.cols, 1, 3);
    RandomMatrix actual(tokens, weight.rows, 2, 5);
    RandomMatrix expected(tokens, weight.rows, 3);
    tested_->Linear(input.view(), weight, actual.view());
    reference_->Linear(input.view(), weight, expected.view());
    const std::vector<double> sums = SumOfMagnitudes(input.view(), weight);
    const std::vector<double> rounding = Rounding(input.view(), weight);
    // There is one rounding for each product and each addition, in any order.
    const double unit = kUnit * (weight.cols + 2);
    for (int64_t j = 0; j < weight.rows; ++j) {
      for (int64_t i = 0; i < tokens; ++i) {
        ASSERT_NEAR(actual.view().row(i)[j], expected.view().row(i)[j],
                    unit * sums[j * tokens + i] + rounding[j * tokens + i])
            << BlockFormatName(weight.format) << " [" << weight.rows << ", "
            << weight.cols << "], token " << i << " of " << tokens << ", row "
            << j;
      }
    }
  }
};

TEST_P(DenseTest, LinearEqualsReferenceInAllFormats) {
  for (const BlockFormat format : kAll) {
    const int64_t block = BlockSize(format);
    for (const int64_t cols : {int64_t{256}, 512 + std::max<int64_t>(block, 32),
                               block == 1 ? 7 : block}) {
      for (const int64_t rows : {1, 5, 70}) {
        const Weight weight(format, rows, cols);
        for (const int64_t tokens : {1, 3, 9}) {
          ExpectLinearEqual(weight.matrix, tokens);
        }
      }
    }
  }
}

TEST_P(DenseTest, LinearEqualsReferenceInAllShapes) {
  for (const int64_t cols : {1, 17, 515, 1100}) {
    for (const int64_t rows : {0, 2, 8, 31, 100}) {
      const Weight weight(BlockFormat::kF32, rows, cols);
      for (const int64_t tokens : {0, 1, 2, 4, 6, 33}) {
        ExpectLinearEqual(weight.matrix, tokens);
      }
    }
  }
}

// Tokens, rows and columns end within a tile, and there are several tiles of
// each.
TEST_P(DenseTest, LinearOfAPromptEqualsReferenceInAllFormats) {
  for (const BlockFormat format : kAll) {
    const int64_t block = BlockSize(format);
    const Weight one(format, 70, block == 1 ? 45 : block);
    for (const int64_t tokens : {17, 64, 65}) {
      ExpectLinearEqual(one.matrix, tokens);
    }
    const Weight several(format, 131, 256 + std::max<int64_t>(block, 32));
    ExpectLinearEqual(several.matrix, 150);
  }
}

TEST_P(DenseTest, LinearTakesAPartOfAMatrix) {
  const Weight weight(BlockFormat::kQ4_1, 40, 1536);
  ExpectLinearEqual(weight.matrix.RowRange(7, 20).ColumnRange(96, 608), 5);
}

// Weights of several formats and sizes, of which some are kept, give over one
// input what each gives alone.
TEST_P(DenseTest, LinearsAreLinearOfEach) {
  constexpr int64_t kCols = 256;
  for (const int64_t tokens : {0, 1, 5}) {
    std::vector<std::unique_ptr<Weight>> weights;
    std::vector<RandomMatrix> together, alone;
    int64_t rows = 3;
    for (const BlockFormat format : kAll) {
      weights.push_back(std::make_unique<Weight>(format, rows, kCols));
      together.emplace_back(tokens, rows, 2);
      alone.emplace_back(tokens, rows, 3);
      rows += 17;
    }
    RandomMatrix input(tokens, kCols, 1);
    std::vector<LinearProduct> products;
    for (size_t i = 0; i < weights.size(); ++i) {
      const WeightMatrix& weight = weights[i]->matrix;
      if (i % 2 == 0) {
        ASSERT_TRUE(tested_->KeepWeight(weight).ok());
      }
      products.push_back({&weight, together[i].view()});
      tested_->Linear(input.view(), weight, alone[i].view());
    }
    tested_->Linears(input.view(), products);
    for (size_t i = 0; i < weights.size(); ++i) {
      EXPECT_EQ(together[i].numbers(), alone[i].numbers()) << i;
    }
    tested_ = GetParam().make();  // what it keeps must outlive it
  }
}

// A copy that a backend takes gives the same bits.
TEST_P(DenseTest, KeptWeightsAreTheSameWeights) {
  for (const BlockFormat format : kAll) {
    for (const int64_t rows : {1, 16, 45}) {
      const Weight weight(format, rows, 768);
      const WeightMatrix part = weight.matrix.ColumnRange(256, 512).RowRange(
          rows / 3, rows - rows / 3);
      for (const int64_t tokens : {1, 7}) {
        RandomMatrix input(tokens, 512, 1), before(tokens, part.rows, 2),
            after(tokens, part.rows, 3);
        tested_ = GetParam().make();
        tested_->Linear(input.view(), part, before.view());
        ASSERT_TRUE(tested_->KeepWeight(part).ok());
        tested_->Linear(input.view(), part, after.view());
        ASSERT_EQ(before.numbers(), after.numbers())
            << BlockFormatName(format) << " " << rows << " " << tokens;
      }
    }
  }
}

float Largest(const std::vector<float>& row) {
  float largest = 0.0f;
  for (const float x : row) largest = std::max(largest, std::abs(x));
  return largest;
}

// 0 w + ... + 1 w has no rounding where tokens are not rounded to 16 bits.
TEST_P(DenseTest, LinearOfUnitVectorsIsDequantize) {
  constexpr int64_t kCols = 768;
  for (const BlockFormat format : kAll) {
    const Weight weight(format, 3, kCols);
    std::vector<float> unit(kCols * kCols), actual(kCols * 3);
    for (int64_t i = 0; i < kCols; ++i) unit[i * kCols + i] = 1.0f;
    tested_->Linear({unit.data(), kCols, kCols}, weight.matrix,
                    {actual.data(), kCols, 3});
    std::vector<float> row(kCols);
    for (int64_t j = 0; j < 3; ++j) {
      Dequantize(format, weight.matrix.row(j), row);
      for (int64_t k = 0; k < kCols; ++k) {
        const LinearRounding rounding = RoundingOf(weight.matrix, kCols);
        if (rounding == LinearRounding::kTokensTo16Bits) {
          // The bound is for 32,639 times 1 / 32,639, and roundings of the
          // scale's and the minimum's part, which are of the size of the
          // largest weights.
          ASSERT_NEAR(actual[k * 3 + j], row[k], 32 * kUnit * Largest(row));
        } else if (rounding == LinearRounding::kBothToBF16) {
          ASSERT_NEAR(actual[k * 3 + j], row[k], 0x1p-8 * std::abs(row[k]));
        } else {
          ASSERT_EQ(actual[k * 3 + j], row[k]) << BlockFormatName(format);
        }
      }
    }
  }
}

// Few and many tokens take different ways; 2,208 columns are more than one
// part, and end in the middle of a group of blocks.
TEST_P(DenseTest, ATokenDoesNotDependOnItsBatch) {
  for (const BlockFormat format : kAll) {
    const int64_t cols = BlockSize(format) == 256 ? 2304 : 2208;
    const Weight weight(format, 85, cols);
    // The batch has as many tokens as are rounded alike.
    const int64_t tokens =
        RoundingOf(weight.matrix, 1) == RoundingOf(weight.matrix, 21) ? 21 : 13;
    RandomMatrix input(tokens, cols, 1), all(tokens, 85, 2), one(1, 85, 3);
    tested_->Linear(input.view(), weight.matrix, all.view());
    for (int64_t i = 0; i < tokens; ++i) {
      tested_->Linear(input.view().Rows(i, 1), weight.matrix, one.view());
      for (int64_t j = 0; j < 85; ++j) {
        ASSERT_EQ(one.view().row(0)[j], all.view().row(i)[j])
            << BlockFormatName(format) << " " << i << " " << j;
      }
    }
  }
}

TEST_P(DenseTest, LinearKeepsWhatIsNotFinite) {
  for (const int64_t tokens : {2, 9}) {
    for (const BlockFormat format : kAll) {
      const Weight weight(format, 40, 512);
      RandomMatrix input(tokens, 512, 1), output(tokens, 40, 2);
      input.view().row(0)[50] = std::numeric_limits<float>::quiet_NaN();
      input.view().row(1)[77] = std::numeric_limits<float>::infinity();
      tested_->Linear(input.view(), weight.matrix, output.view());
      for (int64_t j = 0; j < 40; ++j) {
        EXPECT_FALSE(std::isfinite(output.view().row(0)[j]));
        EXPECT_FALSE(std::isfinite(output.view().row(1)[j]));
        for (int64_t i = 2; i < tokens; ++i) {
          EXPECT_TRUE(std::isfinite(output.view().row(i)[j]));
        }
      }
    }
  }
}

// There are tokens of zeros, and of numbers whose inverse is infinite.
TEST_P(DenseTest, LinearOfTinyTokens) {
  const Weight weight(BlockFormat::kQ4_1, 40, 288);
  for (const float tiny : {0.0f, 1e-44f, -1e-38f}) {
    std::vector<float> input(288, tiny), output(40, 1.0f);
    tested_->Linear({input.data(), 1, 288}, weight.matrix,
                    {output.data(), 1, 40});
    for (const float x : output) EXPECT_LT(std::abs(x), 1e-28f);
  }
}

TEST_P(DenseTest, EmbedIsDequantizeWhetherTheTableIsKeptOrNot) {
  std::vector<std::unique_ptr<Weight>> tables;  // what is kept must stay
  for (const BlockFormat format : kAll) {
    tables.push_back(std::make_unique<Weight>(format, 37, 512));
    const WeightMatrix& table = tables.back()->matrix;
    const std::vector<int> ids{8, 0, 15, 16, 36, 36};
    RandomMatrix actual(6, 512, 1, 1), expected(6, 512, 2);
    reference_->Embed(table, ids, expected.view());
    for (const bool kept : {false, true}) {
      if (kept) {
        ASSERT_TRUE(tested_->KeepWeight(table).ok());
      }
      actual = RandomMatrix(6, 512, 1, 1);
      tested_->Embed(table, ids, actual.view());
      for (int64_t i = 0; i < 6; ++i) {
        for (int64_t k = 0; k < 512; ++k) {
          ASSERT_EQ(actual.view().row(i)[k], expected.view().row(i)[k]);
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, DenseTest, testing::ValuesIn(BackendCases()),
                         BackendCaseName);

}  // namespace
}  // namespace subgen
