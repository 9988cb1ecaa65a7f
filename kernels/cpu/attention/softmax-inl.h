// Computes the online softmax of one query over a tile of rows (Milakov and
// Gimelshein, arXiv 1805.02867). The file is compiled once per target.
#if defined(SUBGEN_KERNELS_CPU_SOFTMAX_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SUBGEN_KERNELS_CPU_SOFTMAX_INL_H_
#undef SUBGEN_KERNELS_CPU_SOFTMAX_INL_H_
#else
#define SUBGEN_KERNELS_CPU_SOFTMAX_INL_H_
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/cpu/attention/softmax_sums.h"
#include "kernels/cpu/simd/exp-inl.h"
#include "kernels/cpu/simd/expand-inl.h"

HWY_BEFORE_NAMESPACE();
namespace subgen::cpu::HWY_NAMESPACE {

constexpr float kNone = -std::numeric_limits<float>::infinity();

// Hides the rows that are not seen, to the end of the last vector.
HWY_INLINE void Hide(const LogitRow& row) {
  std::fill(row.logits + row.visible,
            row.logits + (row.count + kLanes - 1) / kLanes * kLanes, kNone);
}

HWY_INLINE float MaxOf(V v) { return hn::GetLane(hn::MaxOfLanes(kFloat, v)); }
HWY_INLINE float SumOf(V v) { return hn::GetLane(hn::SumOfLanes(kFloat, v)); }

// Scales the sums to the larger of their maximum and `max`, and returns it.
HWY_INLINE float Rescale(float max, const SoftmaxSums& sums) {
  max = std::max(max, *sums.max_logit);
  if (max == *sums.max_logit) return max;
  const float keep = std::exp(*sums.max_logit - max);
  *sums.max_logit = max;
  *sums.partition *= keep;
  for (float& w : sums.weighted) w *= keep;
  return max;
}

// Adds the biases and returns the maximum.
HWY_INLINE float AddBias(const LogitRow& row) {
  V max = hn::Set(kFloat, kNone);
  for (int64_t j = 0; j < row.count; j += kLanes) {
    const V biased = hn::Add(hn::LoadU(kFloat, row.logits + j),
                             hn::LoadU(kFloat, row.bias + j));
    hn::StoreU(biased, kFloat, row.logits + j);
    max = hn::Max(max, biased);
  }
  return MaxOf(max);
}

// Converts logits to weights exp(logit + bias - max), the same in both sums.
HWY_INLINE void WeightsOfOneBias(const LogitRow& row, const SoftmaxSums& sums) {
  Hide(row);
  const float max = Rescale(AddBias(row), sums);
  if (max == kNone) {
    std::fill_n(row.logits, row.count, 0.0f);
    return;
  }
  V sum = hn::Zero(kFloat);
  for (int64_t j = 0; j < row.count; j += kLanes) {
    const V weight = SoftmaxExp(
        hn::Sub(hn::LoadU(kFloat, row.logits + j), hn::Set(kFloat, max)));
    hn::StoreU(weight, kFloat, row.logits + j);
    sum = hn::Add(sum, weight);
  }
  *sums.partition += SumOf(sum);
}

// Converts logits to the weights of the value sum; the partition has its own
// bias.
HWY_INLINE void WeightsOfTwoBiases(const LogitRow& row, const float* value_bias,
                                   const SoftmaxSums& sums) {
  Hide(row);
  V largest = hn::Set(kFloat, kNone);
  for (int64_t j = 0; j < row.count; j += kLanes) {
    largest =
        hn::Max(largest, hn::Add(hn::LoadU(kFloat, row.logits + j),
                                 hn::Max(hn::LoadU(kFloat, row.bias + j),
                                         hn::LoadU(kFloat, value_bias + j))));
  }
  const float max = Rescale(MaxOf(largest), sums);
  if (max == kNone) {
    std::fill_n(row.logits, row.count, 0.0f);
    return;
  }
  V sum = hn::Zero(kFloat);
  for (int64_t j = 0; j < row.count; j += kLanes) {
    const V logit = hn::LoadU(kFloat, row.logits + j);
    const V at = hn::Set(kFloat, max);
    const V in_partition = hn::Add(logit, hn::LoadU(kFloat, row.bias + j));
    const V in_values = hn::Add(logit, hn::LoadU(kFloat, value_bias + j));
    sum = hn::Add(sum, SoftmaxExp(hn::Sub(in_partition, at)));
    hn::StoreU(SoftmaxExp(hn::Sub(in_values, at)), kFloat, row.logits + j);
  }
  *sums.partition += SumOf(sum);
}

// Adds exp(logit_j + bias_j - log_partition) to mass[j].
HWY_INLINE void AddProbabilities(const LogitRow& row, float log_partition,
                                 float* mass) {
  Hide(row);
  for (int64_t j = 0; j < row.count; j += kLanes) {
    const V logit = hn::Add(hn::LoadU(kFloat, row.logits + j),
                            hn::LoadU(kFloat, row.bias + j));
    const V probability =
        SoftmaxExp(hn::Sub(logit, hn::Set(kFloat, log_partition)));
    hn::StoreU(hn::Add(hn::LoadU(kFloat, mass + j), probability), kFloat,
               mass + j);
  }
}

}  // namespace subgen::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
