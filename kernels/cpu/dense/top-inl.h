// Finds the largest of many numbers, and sums of exponentials. The file is
// compiled once per target.
#if defined(SUBGEN_KERNELS_CPU_TOP_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SUBGEN_KERNELS_CPU_TOP_INL_H_
#undef SUBGEN_KERNELS_CPU_TOP_INL_H_
#else
#define SUBGEN_KERNELS_CPU_TOP_INL_H_
#endif

#include <hwy/contrib/math/math-inl.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>

#include "kernels/top_numbers.h"

HWY_BEFORE_NAMESPACE();
namespace subgen::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

constexpr int64_t kTopBlock = 256;

// Returns whether all numbers are finite. *largest gets a bound on them from
// above, which is their maximum where none is NaN.
HWY_INLINE bool LookAt(const float* x, int64_t count, float* largest) {
  const hn::ScalableTag<float> d;
  const int64_t lanes = hn::Lanes(d);
  auto max = hn::Set(d, *x);
  auto differences = hn::Zero(d);  // NaN where a number is not finite
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const auto v = hn::LoadU(d, x + i);
    max = hn::Max(max, v);
    differences = hn::Add(differences, hn::Sub(v, v));
  }
  bool finite = hn::AllTrue(d, hn::Eq(differences, hn::Zero(d)));
  *largest = hn::GetLane(hn::MaxOfLanes(d, max));
  for (; i < count; ++i) {
    *largest = std::max(*largest, x[i]);
    finite = finite && std::isfinite(x[i]);
  }
  return finite;
}

// Shows the list the numbers of columns from `first` on. Returns whether all
// are finite.
bool ShowNumbers(Vector<const float> x, int64_t first, TopList* list) {
  bool finite = true;
  const int64_t count = x.size();
  for (int64_t block = 0; block < count; block += kTopBlock) {
    const int64_t end = std::min(block + kTopBlock, count);
    float largest = 0.0f;
    finite &= LookAt(&x[block], end - block, &largest);
    if (!list->Keeps(largest)) continue;
    for (int64_t i = block; i < end; ++i) {
      if (list->Keeps(x[i])) list->Add({x[i], static_cast<int>(first + i)});
    }
  }
  return finite;
}

// Returns the sum of exp(scale (x - largest)). It is taken in floats over a
// block, at most 64 in a lane, and then in double.
double ExponentialSum(Vector<const float> x, float scale, float largest) {
  const hn::ScalableTag<float> d;
  const hn::CappedTag<float, 1> one;
  const int64_t lanes = hn::Lanes(d), count = x.size();
  const auto exponential = [&](auto tag, int64_t i) HWY_ATTR {
    return hn::Exp(
        tag, hn::Mul(hn::Sub(hn::LoadU(tag, &x[i]), hn::Set(tag, largest)),
                     hn::Set(tag, scale)));
  };
  double total = 0.0;
  for (int64_t block = 0; block < count; block += kTopBlock) {
    const int64_t end = std::min(block + kTopBlock, count);
    auto sum = hn::Zero(d);
    int64_t i = block;
    for (; i + lanes <= end; i += lanes) sum = hn::Add(sum, exponential(d, i));
    total += hn::GetLane(hn::SumOfLanes(d, sum));
    for (; i < end; ++i) total += hn::GetLane(exponential(one, i));
  }
  return total;
}

}  // namespace subgen::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
