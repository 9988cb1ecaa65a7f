// These views own nothing. Sizes are in elements.
#pragma once

#include <cstdint>
#include <span>
#include <type_traits>

#include "kernels/base/check.h"

namespace subgen {

template <class T>
using Vector = std::span<T>;

// Row-major; rows lie `stride` elements apart, stride >= cols.
template <class T>
struct Matrix {
  T* data = nullptr;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t stride = 0;

  Matrix() = default;
  Matrix(T* data, int64_t rows, int64_t cols)
      : Matrix(data, rows, cols, cols) {}
  Matrix(T* data, int64_t rows, int64_t cols, int64_t stride)
      : data(data), rows(rows), cols(cols), stride(stride) {}
  // Converts to a view that does not write.
  template <class U>
  requires(std::is_same_v<const U, T> && !std::is_same_v<U, T>)
      Matrix(const Matrix<U>& other)
      : Matrix(other.data, other.rows, other.cols, other.stride) {}

  Vector<T> row(int64_t i) const {
    return {data + i * stride, static_cast<size_t>(cols)};
  }
  Matrix Rows(int64_t first, int64_t count) const {
    SUBGEN_CHECK(first >= 0 && count >= 0 && first + count <= rows);
    return {data + first * stride, count, cols, stride};
  }
};

// Returns all numbers of a matrix whose rows lie packed.
template <class T>
Vector<T> Numbers(Matrix<T> matrix) {
  SUBGEN_CHECK(matrix.stride == matrix.cols);
  return {matrix.data, static_cast<size_t>(matrix.rows * matrix.cols)};
}

}  // namespace subgen
