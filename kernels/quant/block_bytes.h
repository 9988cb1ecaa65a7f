// These help to take blocks apart: they read the bytes of a block; and the
// functions of the formats are declared here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/memory/row_format.h"

namespace subgen {

inline int ByteAt(const std::byte* bytes, int i) {
  return std::to_integer<int>(bytes[i]);
}

inline float Float16At(const std::byte* bytes) {
  uint16_t bits;
  std::memcpy(&bits, bytes, 2);
  return F16ToFloat(bits);
}

// A sub-block has a scale and a minimum, in the K formats of 4 and 5 bits.
struct SubBlockScales {
  int scale;
  int minimum;
};

// Reads one of eight pairs of 6-bit numbers in 12 bytes. Bytes 0..3 hold scales
// 0..3 and bytes 4..7 minima 0..3, in the low 6 bits; bytes 8..11 hold the low
// halves of scales and minima 4..7, whose upper 2 bits are the top bits of
// bytes 0..7.
inline SubBlockScales SubBlock(const std::byte* packed, int i) {
  if (i < 4) return {ByteAt(packed, i) & 63, ByteAt(packed, i + 4) & 63};
  const int low = ByteAt(packed, i + 4);
  return {(low & 15) | ByteAt(packed, i - 4) >> 6 << 4,
          low >> 4 | ByteAt(packed, i) >> 6 << 4};
}

// Each of these expands one block, of 32 numbers or 256.
void DequantizeIQ4_NL(const std::byte* block, float* out);
void DequantizeIQ4_XS(const std::byte* block, float* out);
void DequantizeQ4_K(const std::byte* block, float* out);
void DequantizeQ5_K(const std::byte* block, float* out);
void DequantizeQ6_K(const std::byte* block, float* out);

}  // namespace subgen
