// Rows go from format to format with the bytes of ConvertRow, on every backend.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "tests/kernels/backends/backend_case.h"
#include "tests/kernels/random_rows.h"

namespace subgen {
namespace {

class RowsTest : public BackendTest {
 protected:
  void Compare(const Rows& from, RowFormat to) {
    const int64_t bytes = RowBytes(to, from.dim);
    std::vector<std::byte> actual(from.count * bytes), expected(actual.size());
    const RowCopy copy = {from, to, actual.data()};
    tested_->ConvertRows({&copy, 1});
    for (int64_t i = 0; i < from.count; ++i) {
      ConvertRow(from.format, from.row(i), from.dim, to,
                 expected.data() + i * bytes);
    }
    ASSERT_EQ(actual, expected)
        << RowFormatName(from.format) << " to " << RowFormatName(to) << ", "
        << from.count << " rows of " << from.dim;
  }
};

TEST_P(RowsTest, EveryFormatToEveryFormatIsAsConvertRow) {
  for (const RowFormat from : kRowFormats) {
    for (const RowFormat to : kRowFormats) {
      for (const int64_t dim : {1, 20, 64, 80, 256}) {
        if (!Fits(from, dim) || !Fits(to, dim)) continue;
        for (const int64_t count : {1, 65, 200}) {
          RandomMatrix rows(count, dim, 3);
          const StoredRows stored(from, rows.view());
          ASSERT_NO_FATAL_FAILURE(Compare(stored.rows(), to));
        }
      }
    }
  }
}

TEST_P(RowsTest, RoundsAtEveryEdge) {
  std::vector<float> edges = {0.0f,     -0.0f,    1e-8f,    -6e-8f, 6.1e-5f,
                              65504.0f, 65519.0f, 65520.0f, -7e4f,  3.4e38f};
  edges.push_back(std::numeric_limits<float>::infinity());
  edges.push_back(std::numeric_limits<float>::denorm_min());
  // These are ties, and what is just beside them, of halves large, small and
  // subnormal.
  for (const float scale : {1.0f, 0x1p-14f, 0x1p-20f}) {
    for (const float x :
         {1.0f + 0x1p-11f, 1.0f + 3 * 0x1p-11f, 1.0f + 0x1p-11f + 0x1p-20f,
          1.0f + 0x1p-8f, 1.0f + 3 * 0x1p-8f, 0.999999f}) {
      edges.push_back(scale * x);
    }
  }
  while (edges.size() % 8 != 0) edges.push_back(-1.0f);
  const int64_t count = edges.size();
  const Rows rows = FloatRows(Matrix<const float>(edges.data(), 1, count));
  ASSERT_NO_FATAL_FAILURE(Compare(rows, RowFormat::kBF16));
  ASSERT_NO_FATAL_FAILURE(Compare(rows, RowFormat::kF16));
}

// Blocks with outliers, of one number, of zeros of either sign, of the largest
// and the smallest numbers are equal to the bits, whatever is cut.
TEST_P(RowsTest, QuantizedBlocksAreAsConvertRow) {
  for (const int64_t dim : {32, 64, 96, 128}) {
    constexpr int64_t kRows = 70;
    RandomMatrix rows(kRows, dim, 9);
    for (int64_t i = 0; i < kRows; ++i) {
      const Vector<float> row = rows.view().row(i);
      for (int64_t j = 0; j < dim; ++j) {
        float& x = row[j];
        if (i % 7 == 1) x = j == i % dim ? 40.0f * x : x;
        if (i % 7 == 2) x = 1.5f;
        if (i % 7 == 3) x = std::copysign(0.0f, x);
        if (i % 7 == 4) x = x < 0.0f ? 0.0f * x : x;
        if (i % 7 == 5) x *= i % 2 ? 3e4f : 1e-7f;
        if (i % 7 == 6) x = std::round(x);
      }
    }
    for (const RowFormat from :
         {RowFormat::kF32, RowFormat::kBF16, RowFormat::kF16}) {
      const StoredRows stored(from, rows.view());
      for (const RowFormat to :
           {RowFormat::kQ8, RowFormat::kQ4, RowFormat::kQ3}) {
        ASSERT_NO_FATAL_FAILURE(Compare(stored.rows(), to));
      }
    }
  }
}

TEST_P(RowsTest, ABlockThatIsNotFiniteIsNaN) {
  constexpr int64_t kDim = 128;
  for (const float bad : {std::numeric_limits<float>::infinity(),
                          -std::numeric_limits<float>::infinity(), NAN}) {
    for (const RowFormat to :
         {RowFormat::kQ8, RowFormat::kQ4, RowFormat::kQ3}) {
      RandomMatrix row(1, kDim, 3);
      row.view().row(0)[70] = bad;
      std::vector<std::byte> bytes(RowBytes(to, kDim));
      const RowCopy copy = {FloatRows(row.view()), to, bytes.data()};
      tested_->ConvertRows({&copy, 1});
      std::vector<float> back(kDim);
      DecodeRow(to, bytes.data(), back);
      const int64_t block = RowBlock(to, kDim);
      for (int64_t j = 0; j < kDim; ++j) {
        EXPECT_EQ(std::isnan(back[j]), j / block == 70 / block)
            << RowFormatName(to) << " " << bad << " " << j;
      }
    }
  }
}

TEST_P(RowsTest, ManyCopiesKeepTheirOwnRows) {
  constexpr int64_t kDim = 64, kRows = 5, kCopies = 40;
  RandomMatrix rows(kRows * kCopies, kDim, 1);
  const StoredRows stored(RowFormat::kBF16, rows.view());
  const int64_t bytes = kRows * RowBytes(RowFormat::kBF16, kDim);
  std::vector<std::byte> to(kCopies * bytes);
  std::vector<RowCopy> copies;
  for (int64_t i = 0; i < kCopies; ++i) {  // the last rows first
    const std::byte* from = stored.rows().row((kCopies - 1 - i) * kRows);
    copies.push_back({{RowFormat::kBF16, from, kRows, kDim},
                      RowFormat::kBF16,
                      to.data() + i * bytes});
  }
  tested_->ConvertRows(copies);
  for (int64_t i = 0; i < kCopies; ++i) {
    ASSERT_TRUE(std::equal(to.begin() + i * bytes, to.begin() + (i + 1) * bytes,
                           copies[i].from.data));
  }
}

INSTANTIATE_TEST_SUITE_P(All, RowsTest, testing::ValuesIn(BackendCases()),
                         BackendCaseName);

}  // namespace
}  // namespace subgen
