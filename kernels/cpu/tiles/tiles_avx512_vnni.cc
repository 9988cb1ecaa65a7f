#include "kernels/cpu/tiles/tile_set.h"

#if HWY_ARCH_X86_64

#include <immintrin.h>

#include "kernels/quant/iq4_values.h"

// gcc 12 gives false alarms in its own header (its bug 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"

#define SUBGEN_TILE_TARGET \
  "avx2,fma,f16c,avx512f,avx512vl,avx512bw,avx512dq,avx512vnni"

HWY_PUSH_ATTRIBUTES(SUBGEN_TILE_TARGET)
namespace subgen::cpu {
namespace {

struct Simd {
  static constexpr int64_t kLanes = 16;
  static constexpr QuantOrder kOrder = QuantOrder::kHalves;
  static constexpr bool kSigned = false;
  typedef int32_t Ints __attribute__((vector_size(64)));
  using Floats = __m512;

  static inline Ints AddDots(Ints sums, Ints columns, Ints quants) {
    return (Ints)_mm512_dpbusd_epi32((__m512i)sums, (__m512i)columns,
                                     (__m512i)quants);
  }
  static inline Ints Iq4Values(Ints places) {
    const __m128i table = _mm_xor_si128(
        _mm_loadu_si128(reinterpret_cast<const __m128i*>(kIq4Values)),
        _mm_set1_epi8(-128));
    return (Ints)_mm512_shuffle_epi8(_mm512_broadcast_i32x4(table),
                                     (__m512i)places);
  }
  static inline Ints Widen(const uint8_t* numbers) {
    return (Ints)_mm512_cvtepu8_epi32(
        _mm_loadu_si128(reinterpret_cast<const __m128i*>(numbers)));
  }
  static inline Ints Widen(const int8_t* numbers) {
    return (Ints)_mm512_cvtepi8_epi32(
        _mm_loadu_si128(reinterpret_cast<const __m128i*>(numbers)));
  }
  static inline Ints Widen(const uint16_t* numbers) {
    return (Ints)_mm512_cvtepu16_epi32(
        _mm256_loadu_si256(reinterpret_cast<const __m256i*>(numbers)));
  }
  static inline Floats FromHalves(const uint16_t* numbers) {
    return _mm512_cvtph_ps(
        _mm256_loadu_si256(reinterpret_cast<const __m256i*>(numbers)));
  }
  static inline Floats MultiplyAdd(Floats x, Floats y, Floats z) {
    return _mm512_fmadd_ps(x, y, z);
  }
};

}  // namespace
}  // namespace subgen::cpu
HWY_POP_ATTRIBUTES

#include "kernels/cpu/tiles/tile_products-inl.h"

namespace subgen::cpu {

// `present` must run on machines without these instructions too.
const TileSet kAvx512Vnni = {"AVX512_VNNI",
                             [] {
                               return __builtin_cpu_supports("avx512vnni") &&
                                      __builtin_cpu_supports("avx512bw");
                             },
                             Simd::kOrder, MultiplyRows};

}  // namespace subgen::cpu

#endif
