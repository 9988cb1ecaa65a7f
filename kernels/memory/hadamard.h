// This is a fixed random transform of each row of a head: signs, then a
// Walsh-Hadamard transform over blocks, as in QuaRot (Ashkboos et al., arXiv
// 2404.00456). It is orthonormal: norms and dot products stay, while a large
// number is spread over its block, so that rows lose less when they are
// quantized.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/memory/view.h"

namespace subgen {

class HadamardTransform {
 public:
  // The size of a block is the largest power of two that divides `dim`.
  explicit HadamardTransform(int64_t dim);

  int64_t dim() const { return static_cast<int64_t>(signs_.size()); }
  int64_t block() const { return block_; }
  const std::vector<float>& signs() const { return signs_; }

  // These transform each row [dim] in place; Undo is the inverse of Apply.
  void Apply(Matrix<float> rows) const;
  void Undo(Matrix<float> rows) const;

 private:
  // `other` is scratch of a block.
  void Transform(float* row, std::vector<float>& other) const;

  int64_t block_;
  std::vector<float> signs_;  // [dim], +-1 / sqrt(block)
};

}  // namespace subgen
