#include "kernels/cpu/integer_sets.h"

#if HWY_ARCH_X86_64

#include <immintrin.h>

// False alarms of gcc 12 in its own header (its bug 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"

#define SUBGEN_INTEGER_TARGET \
  "avx2,fma,f16c,avx512f,avx512vl,avx512bw,avx512dq,avx512vnni"

HWY_PUSH_ATTRIBUTES(SUBGEN_INTEGER_TARGET)
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

#include "kernels/cpu/integer_tile-inl.h"

namespace subgen::cpu {

// Where there are no such instructions `present` must run too.
const IntegerSet kAvx512Vnni = {"AVX512_VNNI", 512,
                                [] {
                                  return __builtin_cpu_supports("avx512vnni") &&
                                         __builtin_cpu_supports("avx512bw");
                                },
                                Simd::kOrder, MultiplyRows};

}  // namespace subgen::cpu

#endif
