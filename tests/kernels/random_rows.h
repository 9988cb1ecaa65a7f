// These are pseudo-random operands for kernel tests.
#pragma once

#include <cmath>
#include <random>
#include <vector>

#include "kernels/memory/row_format.h"
#include "kernels/memory/view.h"

namespace subgen {

// This is the largest relative error of one rounding to float32.
inline constexpr double kUnit = 0x1p-24;

inline constexpr RowFormat kRowFormats[] = {RowFormat::kF32, RowFormat::kBF16,
                                            RowFormat::kF16, RowFormat::kQ8,
                                            RowFormat::kQ4,  RowFormat::kQ3};

// Tells whether rows of `dim` numbers are whole blocks.
inline bool Fits(RowFormat format, int64_t dim) {
  return dim % RowBlock(format, dim) == 0;
}

// This is [rows, cols], with `gap` unused numbers behind each row.
class RandomMatrix {
 public:
  RandomMatrix(int64_t rows, int64_t cols, int seed, int64_t gap = 0)
      : numbers_(rows * (cols + gap)), rows_(rows), cols_(cols), gap_(gap) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    for (float& x : numbers_) x = normal(random);
  }

  Matrix<float> view() { return {numbers_.data(), rows_, cols_, cols_ + gap_}; }
  std::vector<float>& numbers() { return numbers_; }

 private:
  std::vector<float> numbers_;
  int64_t rows_, cols_, gap_;
};

// These are numbers as a cache stores them.
class StoredRows {
 public:
  StoredRows(RowFormat format, Matrix<const float> rows)
      : bytes_(rows.rows * RowBytes(format, rows.cols)),
        rows_{format, bytes_.data(), rows.rows, rows.cols} {
    for (int64_t i = 0; i < rows.rows; ++i) {
      EncodeRow(format, rows.row(i),
                bytes_.data() + i * RowBytes(format, rows.cols));
    }
  }
  StoredRows(const StoredRows&) = delete;

  const Rows& rows() const { return rows_; }
  std::vector<float> Decoded() const {
    std::vector<float> all(rows_.count * rows_.dim);
    for (int64_t i = 0; i < rows_.count; ++i) {
      DecodeRow(rows_.format, rows_.row(i),
                Vector<float>(all).subspan(i * rows_.dim, rows_.dim));
    }
    return all;
  }

 private:
  std::vector<std::byte> bytes_;
  Rows rows_;
};

inline double Norm(Vector<const float> x) {
  double sum = 0.0;
  for (const float v : x) sum += static_cast<double>(v) * v;
  return std::sqrt(sum);
}

inline double LargestRowNorm(Matrix<const float> matrix) {
  double largest = 0.0;
  for (int64_t i = 0; i < matrix.rows; ++i) {
    largest = std::max(largest, Norm(matrix.row(i)));
  }
  return largest;
}

}  // namespace subgen
