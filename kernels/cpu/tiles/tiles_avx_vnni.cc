#include "kernels/cpu/tiles/tile_set.h"

#if HWY_ARCH_X86_64

#include <cpuid.h>

#define SUBGEN_TILE_TARGET "avx2,fma,f16c,avxvnni"
#include "kernels/cpu/tiles/tiles_256-inl.h"

HWY_PUSH_ATTRIBUTES(SUBGEN_TILE_TARGET)
namespace subgen::cpu {
namespace {

struct Simd : Simd256 {
  static inline Ints AddDots(Ints sums, Ints columns, Ints quants) {
    return (Ints)_mm256_dpwssd_epi32((__m256i)sums, (__m256i)columns,
                                     (__m256i)quants);
  }
};

}  // namespace
}  // namespace subgen::cpu
HWY_POP_ATTRIBUTES

#include "kernels/cpu/tiles/tile_products-inl.h"

namespace subgen::cpu {
namespace {

// The question is asked here because clang 14 does not know the instructions'
// name. It must run on machines without them too. It is asked once, because in
// a virtual machine it takes microseconds.
bool HasAvxVnni() {
  static const bool has = [] {
    constexpr unsigned kAvxVnniBit = 1 << 4;
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __builtin_cpu_supports("avx2") &&
           __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & kAvxVnniBit) != 0;
  }();
  return has;
}

}  // namespace

const TileSet kAvxVnni = {"AVX_VNNI", HasAvxVnni, Simd::kOrder, MultiplyRows};

}  // namespace subgen::cpu

#endif
