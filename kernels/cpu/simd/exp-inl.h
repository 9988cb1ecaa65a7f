// Computes the exponential in the range in which softmax takes it. The file is
// compiled once per target.
#if defined(SUBGEN_KERNELS_CPU_EXP_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SUBGEN_KERNELS_CPU_EXP_INL_H_
#undef SUBGEN_KERNELS_CPU_EXP_INL_H_
#else
#define SUBGEN_KERNELS_CPU_EXP_INL_H_
#endif

#include <hwy/highway.h>

#include "kernels/cpu/simd/expand-inl.h"

HWY_BEFORE_NAMESPACE();
namespace subgen::cpu::HWY_NAMESPACE {

constexpr float kLog2E = 1.44269504f;
constexpr float kLn2 = 0.693147181f;
// Adding this number rounds to a whole number, which is then in the lowest
// bits.
constexpr float kRounder = 0x1.8p23f;

// Returns 2^n 2^f for |f| <= 1/2, where `shifted` is n + kRounder. 2^f is a
// minimax polynomial that is good to 2^-29. In all, the result is off by 1.3
// 2^-24 of it.
HWY_INLINE V PowerOfTwo(V shifted, V f) {
  V power = hn::Set(kFloat, 0.00015345800784416497f);
  for (const float coefficient :
       {0.0013399930903688073f, 0.009618489071726799f, 0.05550328642129898f,
        0.24022646248340607f, 0.6931471824645996f, 1.0f}) {
    power = hn::MulAdd(power, f, hn::Set(kFloat, coefficient));
  }
  const hn::RebindToSigned<D> integer;
  const auto exponent = hn::ShiftLeft<23>(hn::BitCast(integer, shifted));
  return hn::BitCast(kFloat, hn::Add(hn::BitCast(integer, power), exponent));
}

// Returns 2^x for x < 127, 0 below -126 (-inf too), and NaN for NaN.
HWY_INLINE V SoftmaxExp2(V x) {
  const V rounder = hn::Set(kFloat, kRounder);
  const V shifted = hn::Add(x, rounder);
  const V f = hn::Sub(x, hn::Sub(shifted, rounder));
  return hn::IfThenZeroElse(hn::Lt(x, hn::Set(kFloat, -126.0f)),
                            PowerOfTwo(shifted, f));
}

// Returns exp(x) for x < 88, 0 below -87 (-inf too), and NaN for NaN. It is off
// by at most (1.5 + |x| / 4) 2^-24 of it.
HWY_INLINE V SoftmaxExp(V x) {
  const V rounder = hn::Set(kFloat, kRounder), log2e = hn::Set(kFloat, kLog2E);
  const V shifted = hn::MulAdd(x, log2e, rounder);
  const V f = hn::MulSub(x, log2e, hn::Sub(shifted, rounder));
  return hn::IfThenZeroElse(hn::Lt(x, hn::Set(kFloat, -87.0f)),
                            PowerOfTwo(shifted, f));
}

}  // namespace subgen::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
