#include "engine/cache/policies/kivi_block.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "kernels/memory/row_blocks.h"

namespace subgen {
namespace {

// Reads scale and minimum of `count` groups.
void DecodeScales(const std::byte* pairs, int64_t count, float* scale,
                  float* minimum) {
  for (int64_t i = 0; i < count; ++i) {
    uint16_t pair[2];
    std::memcpy(pair, pairs + 4 * i, 4);
    scale[i] = F16ToFloat(pair[0]);
    minimum[i] = F16ToFloat(pair[1]);
  }
}

// Unpacks a row whose numbers each have their scale and minimum.
template <int kBits>
void UnpackRow(const std::byte* quants, int64_t dim, const float* scale,
               const float* minimum, float* out) {
  constexpr int kMask = (1 << kBits) - 1;
  const int64_t width = dim * kBits / 8;
  for (int part = 0; part < 8 / kBits; ++part) {
    for (int64_t j = 0; j < width; ++j) {
      const int quant =
          std::to_integer<int>(quants[j]) >> (part * kBits) & kMask;
      // Numbers that share a byte lie a part of the row apart, so those that
      // are unpacked one after another are neighbors.
      const int64_t i = part * width + j;
      out[i] = scale[i] * static_cast<float>(quant) + minimum[i];
    }
  }
}

}  // namespace

void KiviBlock::Pack(const uint8_t* numbers, std::byte* row) const {
  const int64_t width = row_quants();
  for (int64_t j = 0; j < width; ++j) {
    int byte = 0;
    for (int part = 0; part < 8 / bits_; ++part) {
      byte |= numbers[part * width + j] << (part * bits_);
    }
    row[j] = static_cast<std::byte>(byte);
  }
}

void KiviBlock::Encode(Matrix<const float> keys, Matrix<const float> values,
                       std::byte* block) const {
  const int levels = (1 << bits_) - 1;
  std::vector<uint8_t> quants(kTokens * dim_);
  for (int64_t c = 0; c < dim_; ++c) {
    float channel[kTokens];
    uint8_t numbers[kTokens];
    for (int64_t i = 0; i < kTokens; ++i) channel[i] = keys.row(i)[c];
    QuantizeBlock(channel, levels, block + 4 * c, numbers);
    for (int64_t i = 0; i < kTokens; ++i) quants[i * dim_ + c] = numbers[i];
  }
  for (int64_t i = 0; i < kTokens; ++i) {
    Pack(&quants[i * dim_], block + key_quants() + i * row_quants());
    std::byte* scales = block + value_scales() + i * groups() * 4;
    for (int64_t c = 0; c < dim_; c += kGroup) {
      QuantizeBlock(
          // The last group of a head may be shorter.
          values.row(i).subspan(c, std::min<int64_t>(kGroup, dim_ - c)), levels,
          scales + c / kGroup * 4, &quants[c]);
    }
    Pack(quants.data(), block + value_quants() + i * row_quants());
  }
}

void KiviBlock::Decode(const std::byte* block, Matrix<float> keys,
                       Matrix<float> values) const {
  // The bits are a constant of the function, so shifts and masks are, too.
  const auto unpack = bits_ == 2 ? UnpackRow<2> : UnpackRow<4>;
  std::vector<float> scale(dim_), minimum(dim_);
  DecodeScales(block, dim_, scale.data(), minimum.data());
  for (int64_t i = 0; i < kTokens; ++i) {
    unpack(block + key_quants() + i * row_quants(), dim_, scale.data(),
           minimum.data(), keys.row(i).data());
  }
  std::vector<float> pairs(2 * groups());
  for (int64_t i = 0; i < kTokens; ++i) {
    DecodeScales(block + value_scales() + i * groups() * 4, groups(),
                 pairs.data(), pairs.data() + groups());
    for (int64_t c = 0; c < dim_; ++c) {
      scale[c] = pairs[c / kGroup];
      minimum[c] = pairs[groups() + c / kGroup];
    }
    unpack(block + value_quants() + i * row_quants(), dim_, scale.data(),
           minimum.data(), values.row(i).data());
  }
}

}  // namespace subgen
