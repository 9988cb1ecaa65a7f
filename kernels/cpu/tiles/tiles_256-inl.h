// AVX2 and AVX-VNNI have this in common: a vector has 8 rows, and weights are
// widened to 16 bits. Products of bytes, two of which AVX2 adds in 16 bits,
// would overflow with those of Q8_0. Included once, after SUBGEN_TILE_TARGET.
#pragma once

#include <hwy/base.h>
#include <immintrin.h>

#include "kernels/cpu/tiles/quantized_tokens.h"
#include "kernels/quant/iq4_values.h"

HWY_PUSH_ATTRIBUTES(SUBGEN_TILE_TARGET)
namespace subgen::cpu {
namespace {

struct Simd256 {
  static constexpr int64_t kLanes = 8;
  static constexpr QuantOrder kOrder = QuantOrder::kWords;
  static constexpr bool kSigned = false;
  typedef int32_t Ints __attribute__((vector_size(32)));
  using Floats = __m256;

  static inline Ints Iq4Values(Ints places) {
    const __m128i table = _mm_xor_si128(
        _mm_loadu_si128(reinterpret_cast<const __m128i*>(kIq4Values)),
        _mm_set1_epi8(-128));
    return (Ints)_mm256_shuffle_epi8(_mm256_broadcastsi128_si256(table),
                                     (__m256i)places);
  }
  static inline Ints Widen(const uint8_t* numbers) {
    return (Ints)_mm256_cvtepu8_epi32(
        _mm_loadl_epi64(reinterpret_cast<const __m128i*>(numbers)));
  }
  static inline Ints Widen(const int8_t* numbers) {
    return (Ints)_mm256_cvtepi8_epi32(
        _mm_loadl_epi64(reinterpret_cast<const __m128i*>(numbers)));
  }
  static inline Ints Widen(const uint16_t* numbers) {
    return (Ints)_mm256_cvtepu16_epi32(
        _mm_loadu_si128(reinterpret_cast<const __m128i*>(numbers)));
  }
  static inline Floats FromHalves(const uint16_t* numbers) {
    return _mm256_cvtph_ps(
        _mm_loadu_si128(reinterpret_cast<const __m128i*>(numbers)));
  }
  static inline Floats MultiplyAdd(Floats x, Floats y, Floats z) {
    return _mm256_fmadd_ps(x, y, z);
  }
};

}  // namespace
}  // namespace subgen::cpu
HWY_POP_ATTRIBUTES
