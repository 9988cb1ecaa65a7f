// Operations that are several in one give the bits of those one after another.
#include <memory>
#include <vector>

#include "tests/kernels/backend_case.h"
#include "tests/kernels/random_rows.h"
#include "tests/support/gguf_writer.h"

namespace subgen {
namespace {

using FusedTest = BackendTest;

// Weights with these numbers of rows over one input, beside Linear of each.
void CompareLinears(Backend& backend, BlockFormat format, int64_t cols,
                    const std::vector<int64_t>& rows, int64_t tokens) {
  std::vector<std::vector<std::byte>> blocks;
  std::vector<WeightMatrix> weights;
  std::vector<RandomMatrix> together, alone;
  for (size_t i = 0; i < rows.size(); ++i) {
    blocks.push_back(RandomBlocks(format, rows[i] * cols, 7 + i));
    weights.push_back({format, blocks.back().data(), rows[i], cols, 0});
    weights.back().row_stride = weights.back().row_bytes();
    together.emplace_back(tokens, rows[i], 2, i % 3);
    alone.emplace_back(tokens, rows[i], 2, i % 3);
  }
  RandomMatrix input(tokens, cols, 1, 5);
  std::vector<LinearProduct> products;
  for (size_t i = 0; i < rows.size(); ++i) {
    products.push_back({&weights[i], together[i].view()});
    backend.Linear(input.view(), weights[i], alone[i].view());
  }
  backend.Linears(input.view(), products);
  for (size_t i = 0; i < rows.size(); ++i) {
    ASSERT_EQ(together[i].numbers(), alone[i].numbers())
        << BlockFormatName(format) << " " << i << " of " << rows.size() << ", "
        << tokens << " tokens";
  }
}

// Weights of one format, equal and unequal, empty ones among them.
TEST_P(FusedTest, LinearsOfOneFormatAreLinearOfEach) {
  const std::vector<std::vector<int64_t>> shapes = {
      {},
      {5},
      {0, 0},
      {16, 16},
      {17, 3, 3},
      {0, 9, 0, 1},
      {8, 0, 40},
      {3, 3, 3, 3, 3},
      {1, 2, 70, 4, 5, 0, 6, 7, 9}};
  for (const BlockFormat format :
       {BlockFormat::kF32, BlockFormat::kQ4_1, BlockFormat::kQ6_K}) {
    for (const auto& rows : shapes) {
      for (const int64_t tokens : {0, 1, 3, 16, 17}) {
        ASSERT_NO_FATAL_FAILURE(
            CompareLinears(*tested_, format, 256, rows, tokens));
      }
    }
  }
  ASSERT_NO_FATAL_FAILURE(
      CompareLinears(*tested_, BlockFormat::kF32, 515, {7, 20, 1}, 2));
}

// On rows with gaps, of many sizes.
TEST_P(FusedTest, AddRmsNormIsAddThenRmsNorm) {
  for (const int64_t cols : {1, 20, 64, 577, 4096}) {
    for (const int64_t rows : {0, 1, 9, 70}) {
      RandomMatrix x(rows, cols, 1, 2), gain(1, cols, 2);
      RandomMatrix sum(rows, cols, 3, 1), separate_sum(rows, cols, 3, 1);
      RandomMatrix norm(rows, cols, 4), separate_norm(rows, cols, 4);
      const Vector<const float> gains = gain.view().row(0);
      tested_->AddRmsNorm(x.view(), sum.view(), gains, 1e-5f, norm.view());
      tested_->Add(x.view(), separate_sum.view());
      tested_->RmsNorm(separate_sum.view(), gains, 1e-5f, separate_norm.view());
      ASSERT_EQ(sum.numbers(), separate_sum.numbers()) << rows << " " << cols;
      ASSERT_EQ(norm.numbers(), separate_norm.numbers()) << rows << " " << cols;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, FusedTest, testing::ValuesIn(BackendCases()),
                         BackendCaseName);

}  // namespace
}  // namespace subgen
