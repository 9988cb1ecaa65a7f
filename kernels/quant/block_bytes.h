// For the files of this folder: bytes of a block, and functions of one another.
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

// One block of 32 numbers or 256.
void DequantizeIQ4_NL(const std::byte* block, float* out);
void DequantizeIQ4_XS(const std::byte* block, float* out);
void DequantizeQ4_K(const std::byte* block, float* out);
void DequantizeQ5_K(const std::byte* block, float* out);
void DequantizeQ6_K(const std::byte* block, float* out);

}  // namespace subgen
