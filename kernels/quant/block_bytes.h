// For the files of this folder: bytes of a block, and the 256-number blocks.
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

// One block into 256 numbers.
void DequantizeQ4_K(const std::byte* block, float* out);
void DequantizeQ5_K(const std::byte* block, float* out);
void DequantizeQ6_K(const std::byte* block, float* out);

}  // namespace subgen
