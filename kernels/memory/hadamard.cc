#include "kernels/memory/hadamard.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "kernels/base/random.h"

namespace subgen {

HadamardTransform::HadamardTransform(int64_t dim) : block_(dim & -dim) {
  // The signs must be the same in every process, because sketches may be saved
  // and loaded.
  const CounterRandom random(0x4a17, 0, 0, 0);
  const float size = 1.0f / std::sqrt(static_cast<float>(block_));
  for (int64_t i = 0; i < dim; ++i) {
    signs_.push_back(random.Uniform(i) < 0.5 ? -size : size);
  }
}

// Transforms without the factor 1 / sqrt(block). Every stage has the same
// geometry (Pease 1968), so that all of them can be vectorized.
void HadamardTransform::Transform(float* row, std::vector<float>& other) const {
  const int64_t half = block_ / 2;
  for (int64_t first = 0; first < dim(); first += block_) {
    float* from = row + first;
    float* to = other.data();
    for (int64_t stage = 1; stage < block_; stage *= 2) {
      for (int64_t i = 0; i < half; ++i) {
        to[2 * i] = from[i] + from[half + i];
        to[2 * i + 1] = from[i] - from[half + i];
      }
      std::swap(from, to);
    }
    if (from != row + first) std::copy_n(from, block_, row + first);
  }
}

void HadamardTransform::Apply(Matrix<float> rows) const {
  SUBGEN_CHECK(rows.cols == dim());
  std::vector<float> other(block_);
  for (int64_t i = 0; i < rows.rows; ++i) {
    float* row = rows.row(i).data();
    for (int64_t j = 0; j < dim(); ++j) row[j] *= signs_[j];
    Transform(row, other);
  }
}

void HadamardTransform::Undo(Matrix<float> rows) const {
  SUBGEN_CHECK(rows.cols == dim());
  std::vector<float> other(block_);
  for (int64_t i = 0; i < rows.rows; ++i) {
    float* row = rows.row(i).data();
    Transform(row, other);
    for (int64_t j = 0; j < dim(); ++j) row[j] *= signs_[j];
  }
}

}  // namespace subgen
