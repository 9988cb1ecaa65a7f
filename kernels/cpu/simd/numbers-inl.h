// These loop over arrays of numbers. The file is compiled once per target.
#if defined(SUBGEN_KERNELS_CPU_NUMBERS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SUBGEN_KERNELS_CPU_NUMBERS_INL_H_
#undef SUBGEN_KERNELS_CPU_NUMBERS_INL_H_
#else
#define SUBGEN_KERNELS_CPU_NUMBERS_INL_H_
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <limits>

#include "kernels/cpu/simd/expand-inl.h"

HWY_BEFORE_NAMESPACE();
namespace subgen::cpu::HWY_NAMESPACE {

// Calls body(d, i) for the numbers [0, n): first vectors, then one by one.
template <class Body>
HWY_INLINE void ForNumbers(int64_t n, const Body& body) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) body(kFloat, i);
  for (; i < n; ++i) body(hn::CappedTag<float, 1>(), i);
}

// Returns the index of the first of the least of n >= 1 numbers, none of which
// may be negative; NaN is above all. They are compared as integers, which have
// the same order as such floats. There must be room for a whole vector behind
// them.
HWY_INLINE int64_t LeastOf(float* numbers, int64_t n) {
  const hn::RebindToSigned<D> integer;
  const auto bits = [&](int64_t i) HWY_ATTR {
    return hn::And(hn::BitCast(integer, hn::LoadU(kFloat, numbers + i)),
                   hn::Set(integer, 0x7fffffff));
  };
  std::fill_n(numbers + n, kLanes, std::numeric_limits<float>::quiet_NaN());
  auto least = hn::Set(integer, 0x7fffffff);
  for (int64_t i = 0; i < n; i += kLanes) least = hn::Min(least, bits(i));
  least = hn::MinOfLanes(integer, least);
  for (int64_t i = 0;; i += kLanes) {
    const intptr_t lane = hn::FindFirstTrue(integer, hn::Eq(bits(i), least));
    if (lane >= 0) return i + lane;
  }
}

}  // namespace subgen::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
