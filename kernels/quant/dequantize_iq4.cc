// Expands the formats whose quants are indices of a table.
#include "kernels/quant/block_bytes.h"
#include "kernels/quant/iq4_values.h"

namespace subgen {
namespace {

// Expands 16 bytes: numbers 0 to 15 are in the low halves, 16 to 31 in the high
// ones.
void Expand(const std::byte* quants, float scale, float* out) {
  for (int i = 0; i < 16; ++i) {
    out[i] = scale * kIq4Values[ByteAt(quants, i) & 15];
    out[16 + i] = scale * kIq4Values[ByteAt(quants, i) >> 4];
  }
}

}  // namespace

// The layout is [f16 scale | 16 bytes].
void DequantizeIQ4_NL(const std::byte* block, float* out) {
  Expand(block + 2, Float16At(block), out);
}

// The layout is [f16 scale | a word of the upper 2 bits of 8 scales | 4 bytes
// of their lower 4 | 128 bytes], in sub-blocks of 32; a number is (scale * (s -
// 32)) * value.
void DequantizeIQ4_XS(const std::byte* block, float* out) {
  const float scale = Float16At(block);
  for (int s = 0; s < 8; ++s) {
    const int low = ByteAt(block, 4 + s / 2) >> s % 2 * 4 & 15;
    const int high = ByteAt(block, 2 + s / 4) >> s % 4 * 2 & 3;
    Expand(block + 8 + 16 * s, scale * ((low | high << 4) - 32), out + 32 * s);
  }
}

}  // namespace subgen
