// Expands the K formats: blocks of 256 numbers whose sub-blocks have scales of
// their own, which are themselves quantized.
#include "kernels/quant/block_bytes.h"

namespace subgen {
namespace {

// The 4-bit part of number i of sub-block s: 32 bytes serve two sub-blocks.
int Nibble(const std::byte* quants, int s, int i) {
  return ByteAt(quants, s / 2 * 32 + i) >> s % 2 * 4 & 15;
}

// Expands eight sub-blocks of 32; a number is (scale * s) * q - (minimum * m).
template <class Quant>
void Expand(const std::byte* block, float* out, Quant quant) {
  const float scale = Float16At(block), minimum = Float16At(block + 2);
  for (int s = 0; s < 8; ++s) {
    const SubBlockScales sub = SubBlock(block + 4, s);
    const float step = scale * sub.scale, offset = minimum * sub.minimum;
    for (int i = 0; i < 32; ++i) out[s * 32 + i] = step * quant(s, i) - offset;
  }
}

}  // namespace

// The layout is [f16 scale | f16 minimum | 12 bytes of scales | 128 bytes].
void DequantizeQ4_K(const std::byte* block, float* out) {
  Expand(block, out, [&](int s, int i) { return Nibble(block + 16, s, i); });
}

// The layout is [f16 scale | f16 minimum | 12 bytes of scales | 32 bytes of
// fifth bits, bit s for sub-block s | 128 bytes].
void DequantizeQ5_K(const std::byte* block, float* out) {
  Expand(block, out, [&](int s, int i) {
    const int fifth_bit = ByteAt(block + 16, i) >> s & 1;
    return Nibble(block + 48, s, i) | fifth_bit << 4;
  });
}

// The layout is [128 bytes of low halves | 64 bytes of upper 2 bits | 16 signed
// scales | f16 scale], in two parts of 128 numbers; a number is (scale * s) *
// (q - 32).
void DequantizeQ6_K(const std::byte* block, float* out) {
  const float scale = Float16At(block + 208);
  for (int n = 0; n < 256; ++n) {
    const int part = n / 128, i = n % 128;
    const int low = ByteAt(block, part * 64 + i % 64) >> i / 64 * 4 & 15;
    const int high = ByteAt(block + 128, part * 32 + i % 32) >> i / 32 * 2 & 3;
    const int8_t sub = static_cast<int8_t>(ByteAt(block + 192, n / 16));
    out[n] = (scale * sub) * ((low | high << 4) - 32);
  }
}

}  // namespace subgen
