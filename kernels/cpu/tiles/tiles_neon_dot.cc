#include "kernels/cpu/tiles/tile_set.h"

#if SUBGEN_HAS_NEON_DOT

#include <arm_neon.h>
#include <asm/hwcap.h>
#include <sys/auxv.h>

#include "kernels/quant/iq4_values.h"

// Scheduling would load more than there are registers for.
#pragma GCC optimize("no-schedule-insns")

#define SUBGEN_TILE_TARGET "arch=armv8.2-a+dotprod"

HWY_PUSH_ATTRIBUTES(SUBGEN_TILE_TARGET)
namespace subgen::cpu {
namespace {

struct Simd {
  static constexpr int64_t kLanes = 4;
  static constexpr QuantOrder kOrder = QuantOrder::kHalves;
  static constexpr bool kSigned = true;
  using Ints = int32x4_t;
  using Floats = float32x4_t;

  static inline Ints AddDots(Ints sums, Ints columns, Ints quants) {
    return vdotq_s32(sums, vreinterpretq_s8_s32(columns),
                     vreinterpretq_s8_s32(quants));
  }
  static inline Ints Iq4Values(Ints places) {
    return vreinterpretq_s32_s8(
        vqtbl1q_s8(vld1q_s8(kIq4Values), vreinterpretq_u8_s32(places)));
  }
  static inline Ints Widen(const uint8_t* numbers) {
    const uint16x8_t words = vmovl_u8(vreinterpret_u8_u32(
        vdup_n_u32(*reinterpret_cast<const uint32_t*>(numbers))));
    return vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(words)));
  }
  static inline Ints Widen(const int8_t* numbers) {
    const int16x8_t words = vmovl_s8(vreinterpret_s8_u32(
        vdup_n_u32(*reinterpret_cast<const uint32_t*>(numbers))));
    return vmovl_s16(vget_low_s16(words));
  }
  static inline Ints Widen(const uint16_t* numbers) {
    return vreinterpretq_s32_u32(vmovl_u16(vld1_u16(numbers)));
  }
  static inline Floats FromHalves(const uint16_t* numbers) {
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(numbers)));
  }
  static inline Floats MultiplyAdd(Floats x, Floats y, Floats z) {
    return vfmaq_f32(z, x, y);
  }
};

}  // namespace
}  // namespace subgen::cpu
HWY_POP_ATTRIBUTES

#include "kernels/cpu/tiles/tile_products-inl.h"

namespace subgen::cpu {

// `present` must run on machines without these instructions too.
const TileSet kNeonDot = {
    "NEON_DOT", [] { return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0; },
    Simd::kOrder, MultiplyRows};

}  // namespace subgen::cpu

#endif
