#include "kernels/cpu/tiles/tile_set.h"

#if HWY_ARCH_X86_64

#define SUBGEN_TILE_TARGET "avx2,fma,f16c"
#include "kernels/cpu/tiles/tiles_256-inl.h"

HWY_PUSH_ATTRIBUTES(SUBGEN_TILE_TARGET)
namespace subgen::cpu {
namespace {

struct Simd : Simd256 {
  static inline Ints AddDots(Ints sums, Ints columns, Ints quants) {
    sums += (Ints)_mm256_madd_epi16((__m256i)columns, (__m256i)quants);
    // Without this, gcc puts the additions off until the sum is used, and keeps
    // all products in memory until then.
    __asm__("" : "+x"(sums));
    return sums;
  }
};

}  // namespace
}  // namespace subgen::cpu
HWY_POP_ATTRIBUTES

#include "kernels/cpu/tiles/tile_products-inl.h"

namespace subgen::cpu {

// `present` must run on machines without these instructions too. F16C came
// before AVX2.
const TileSet kAvx2 = {"AVX2",
                       [] {
                         return __builtin_cpu_supports("avx2") &&
                                __builtin_cpu_supports("fma");
                       },
                       Simd::kOrder, MultiplyRows};

}  // namespace subgen::cpu

#endif
