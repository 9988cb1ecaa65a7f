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

TEST_P(DenseTest, RmsNormEqualsReference) {
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

TEST_P(DenseTest, RmsNormOfZerosIsZero) {
  std::vector<float> zeros(20), gain(20, 3.0f), out(20, 7.0f);
  tested_->RmsNorm({zeros.data(), 1, 20}, gain, 1e-6f, {out.data(), 1, 20});
  EXPECT_EQ(out, zeros);
}

TEST_P(DenseTest, RotateEqualsReference) {
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

TEST_P(DenseTest, GatedSiluEqualsReference) {
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

TEST_P(DenseTest, AddAndAddRowAreExact) {
  RandomMatrix x(37, 1001, 1, 2), actual(37, 1001, 2, 1);
  RandomMatrix expected(37, 1001, 2, 1);
  tested_->Add(x.view(), actual.view());
  tested_->AddRow(x.view().row(3), actual.view());
  reference_->Add(x.view(), expected.view());
  reference_->AddRow(x.view().row(3), expected.view());
  EXPECT_EQ(actual.numbers(), expected.numbers());
}

INSTANTIATE_TEST_SUITE_P(All, DenseTest, testing::ValuesIn(BackendCases()),
                         BackendCaseName);

}  // namespace
}  // namespace subgen
