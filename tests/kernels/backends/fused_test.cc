// Operations that are several in one give the bits of those one after another.
#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "tests/kernels/backends/backend_case.h"
#include "tests/kernels/random_rows.h"
#include "tests/support/gguf_writer.h"

namespace subgen {
namespace {

using FusedTest = BackendTest;

// Compares weights with these numbers of rows over one input with Linear of
// each.
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

// Weights are of one format, of equal and unequal sizes, with empty ones among
// them.
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

// Compares weights of the formats over one input with the three operations.
void CompareGated(Backend& backend, const std::array<BlockFormat, 2>& formats,
                  int64_t rows, int64_t tokens) {
  constexpr int64_t kCols = 256;
  const auto up_blocks = RandomBlocks(formats[0], rows * kCols, 7);
  const auto gate_blocks = RandomBlocks(formats[1], rows * kCols, 8);
  WeightMatrix up = {formats[0], up_blocks.data(), rows, kCols, 0};
  WeightMatrix gate = {formats[1], gate_blocks.data(), rows, kCols, 0};
  up.row_stride = up.row_bytes();
  gate.row_stride = gate.row_bytes();
  RandomMatrix input(tokens, kCols, 1, 5), ups(tokens, rows, 2, 3);
  RandomMatrix actual(tokens, rows, 3, 1), expected(tokens, rows, 3, 1);
  backend.Linear(input.view(), up, ups.view());
  backend.Linear(input.view(), gate, expected.view());
  backend.GatedSilu(ups.view(), expected.view());
  backend.GatedLinears(input.view(), {&up, ups.view()}, {&gate, actual.view()});
  ASSERT_EQ(actual.numbers(), expected.numbers())
      << BlockFormatName(formats[0]) << ", " << BlockFormatName(formats[1])
      << ", " << rows << " rows, " << tokens << " tokens";
}

TEST_P(FusedTest, GatedLinearsAreLinearsThenGatedSilu) {
  constexpr BlockFormat kQ4 = BlockFormat::kQ4_1, kQ6 = BlockFormat::kQ6_K;
  for (const auto& formats : {std::array{kQ4, kQ4}, {kQ6, kQ6}, {kQ4, kQ6}}) {
    for (const int64_t rows : {0, 1, 7, 70}) {
      for (const int64_t tokens : {0, 1, 3, 16, 17}) {
        ASSERT_NO_FATAL_FAILURE(CompareGated(*tested_, formats, rows, tokens));
      }
    }
  }
}

// Rows have gaps, and many sizes.
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

// This is one of several splits, and what Rotate on the same backend and
// SplitHeads on the host make of it.
class SplitCase {
 public:
  SplitCase(const Rotary* rotary, const HeadLayout& layout, int seed)
      : rotary_(rotary),
        layout_(layout),
        heads_(layout.tokens, Columns(layout), seed, 3),
        turned_(layout.tokens, Columns(layout), seed),
        before_(heads_.numbers()),
        actual_(layout.rows(), layout.head_dim, 2, 1),
        expected_(layout.rows(), layout.head_dim, 2, 1) {
    for (int64_t i = 0; i < layout.tokens; ++i) {
      positions_.push_back(99991 + 7 * i);
      std::ranges::copy(heads_.view().row(i), turned_.view().row(i).begin());
    }
  }

  HeadSplit Split() {
    return {
        {rotary_, positions_}, layout_, heads_.view(), 0.3f, actual_.view()};
  }
  void Compare(Backend& backend) {
    if (rotary_ != nullptr) {
      backend.Rotate(*rotary_, positions_, layout_.head_dim, turned_.view());
    }
    SplitHeads(layout_, turned_.view(), 0.3f, expected_.view());
    ASSERT_EQ(heads_.numbers(), before_);  // for another split of them
    ASSERT_EQ(actual_.numbers(), expected_.numbers())
        << layout_.tokens << " tokens, " << layout_.kv_heads << " of "
        << layout_.group << " heads, " << layout_.head_dim;
  }

 private:
  static int64_t Columns(const HeadLayout& layout) {
    return layout.kv_heads * layout.group * layout.head_dim;
  }

  const Rotary* rotary_;
  HeadLayout layout_;
  std::vector<int64_t> positions_;
  RandomMatrix heads_, turned_;
  std::vector<float> before_;
  RandomMatrix actual_, expected_;
};

// Returns splits of odd sizes, empty ones, and some that do not rotate, all in
// one list.
std::vector<SplitCase> SplitCases(const Rotary& rotary) {
  std::vector<SplitCase> cases;
  const int64_t pairs = rotary.inverse_frequency.size();
  for (const int64_t unturned : {0, 1, 6}) {
    for (const auto& [tokens, kv_heads, group] :
         {std::array<int64_t, 3>{0, 2, 3},
          {1, 3, 3},
          {5, 2, 1},
          {7, 1, 4},
          {3, 0, 2}}) {
      const HeadLayout layout = {tokens, kv_heads, group, 2 * pairs + unturned};
      cases.emplace_back(&rotary, layout, cases.size());
      cases.emplace_back(nullptr, layout, cases.size());
    }
  }
  return cases;
}

TEST_P(FusedTest, SplitHeadsTurnsAndSplitsEach) {
  for (const int64_t pairs : {1, 10, 32}) {
    for (const bool interleaved : {false, true}) {
      Rotary rotary;
      for (int64_t i = 0; i < pairs; ++i) {
        rotary.inverse_frequency.push_back(std::pow(10000.0, -1.0 * i / pairs));
      }
      rotary.magnitude = interleaved ? 1.25 : 1.0;
      rotary.interleaved = interleaved;
      std::vector<SplitCase> cases = SplitCases(rotary);
      std::vector<HeadSplit> splits;
      for (SplitCase& each : cases) splits.push_back(each.Split());
      tested_->SplitHeads(splits);
      for (SplitCase& each : cases) {
        ASSERT_NO_FATAL_FAILURE(each.Compare(*tested_));
      }
    }
  }
  tested_->SplitHeads({});
}

INSTANTIATE_TEST_SUITE_P(All, FusedTest, testing::ValuesIn(BackendCases()),
                         BackendCaseName);

}  // namespace
}  // namespace subgen
