// A block is 32 tokens in KIVI's layout (Liu et al., arXiv 2402.02750): keys
// are quantized per channel over the tokens, values per token over groups of 32
// numbers along the head. Each group has its scale and minimum in f16:
//   [keys: dim x (scale, minimum) | 32 rows of quants |
//    values: 32 x groups x (scale, minimum) | 32 rows of quants]
// The quants of a row are packed so: number i * dim * bits / 8 + j is in byte
// j, at bit i * bits.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/memory/view.h"

namespace subgen {

class KiviBlock {
 public:
  static constexpr int64_t kTokens = 32;
  static constexpr int64_t kGroup = 32;  // numbers of a value

  // `bits` is 2 or 4, `head_dim` a multiple of 8 / bits.
  KiviBlock(int64_t head_dim, int bits) : dim_(head_dim), bits_(bits) {}

  int64_t bytes() const { return value_quants() + quants(); }

  // keys and values are [kTokens, head_dim]. A finite number up to 65,504 comes
  // back within half a scale.
  void Encode(Matrix<const float> keys, Matrix<const float> values,
              std::byte* block) const;
  void Decode(const std::byte* block, Matrix<float> keys,
              Matrix<float> values) const;

 private:
  int64_t groups() const { return (dim_ + kGroup - 1) / kGroup; }
  int64_t quants() const { return kTokens * row_quants(); }
  int64_t row_quants() const { return dim_ * bits_ / 8; }
  // These say where the parts lie.
  int64_t key_quants() const { return dim_ * 4; }
  int64_t value_scales() const { return key_quants() + quants(); }
  int64_t value_quants() const {
    return value_scales() + kTokens * groups() * 4;
  }
  void Pack(const uint8_t* numbers, std::byte* row) const;

  int64_t dim_;
  int bits_;
};

}  // namespace subgen
