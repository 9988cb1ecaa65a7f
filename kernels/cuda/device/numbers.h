// These convert number formats and load numbers, on host and device alike.
#pragma once

#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstdint>
#include <cstring>

#include "kernels/base/host_device.h"

namespace subgen::cuda {

SUBGEN_HOST_DEVICE float FloatOf(uint32_t bits) {
  float x;
  memcpy(&x, &bits, 4);
  return x;
}
SUBGEN_HOST_DEVICE uint32_t BitsOf(float x) {
  uint32_t bits;
  memcpy(&bits, &x, 4);
  return bits;
}

SUBGEN_HOST_DEVICE float FromBF16(uint32_t bits) { return FloatOf(bits << 16); }

// Converts exactly. On the host the exponent is moved by a product, which
// serves subnormal numbers too.
SUBGEN_HOST_DEVICE float FromF16(uint32_t bits) {
#ifdef __CUDA_ARCH__
  return __half2float(__ushort_as_half(static_cast<unsigned short>(bits)));
#else
  const uint32_t sign = (bits & 0x8000) << 16;
  uint32_t x = (bits & 0x7fff) << 13;
  x = (bits & 0x7c00) == 0x7c00 ? x | 0x7f800000
                                : BitsOf(FloatOf(x) * 0x1p112f);
  return FloatOf(sign | x);
#endif
}

// Rounds to the nearest, ties to even; NaN stays NaN.
SUBGEN_HOST_DEVICE uint16_t ToBF16(float value) {
  const uint32_t bits = BitsOf(value);
  if ((bits & 0x7fffffff) > 0x7f800000) {
    return static_cast<uint16_t>(bits >> 16 | 0x40);
  }
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

SUBGEN_HOST_DEVICE uint16_t ToF16(float value) {
  const uint32_t bits = BitsOf(value), sign = bits >> 16 & 0x8000;
  const uint32_t x = bits & 0x7fffffff;
  if (x > 0x7f800000) return static_cast<uint16_t>(sign | 0x7e00);
  if (x >= 0x477ff000) return static_cast<uint16_t>(sign | 0x7c00);
  if (x < 0x38800000) {  // subnormal: the sum rounds to multiples of 2^-24
    return static_cast<uint16_t>(sign |
                                 (BitsOf(FloatOf(x) + 0.5f) - BitsOf(0.5f)));
  }
  return static_cast<uint16_t>(
      sign | (x - (112u << 23) + 0xfff + (x >> 13 & 1)) >> 13);
}

// These load little-endian numbers at even addresses.
SUBGEN_HOST_DEVICE uint32_t Load2(const uint8_t* bytes) {
  return *reinterpret_cast<const uint16_t*>(bytes);
}
SUBGEN_HOST_DEVICE uint32_t Load4(const uint8_t* bytes) {
  return Load2(bytes) | Load2(bytes + 2) << 16;
}

// Loads at addresses that are multiples of 4.
SUBGEN_HOST_DEVICE uint32_t Load4Aligned(const uint8_t* bytes) {
  return *reinterpret_cast<const uint32_t*>(bytes);
}

SUBGEN_HOST_DEVICE int ByteOf(uint32_t word, int i) {
  return static_cast<int>(word >> 8 * i & 255);
}

// Returns byte i, without a sign, less `zero`, exactly. On a device this takes
// two instructions, because the byte becomes the last bits of 2^23.
SUBGEN_HOST_DEVICE float NumberOf(uint32_t word, int i, int zero) {
#ifdef __CUDA_ARCH__
  const uint32_t bits = __byte_perm(word, 0x4b000000, 0x7540 | i);
#else
  const uint32_t bits = 0x4b000000 | (word >> 8 * i & 255);
#endif
  return FloatOf(bits) - (0x1p23f + static_cast<float>(zero));
}

}  // namespace subgen::cuda
