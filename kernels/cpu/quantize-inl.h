// Tokens to quants. Compiled once per target.
#if defined(SUBGEN_KERNELS_CPU_QUANTIZE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SUBGEN_KERNELS_CPU_QUANTIZE_INL_H_
#undef SUBGEN_KERNELS_CPU_QUANTIZE_INL_H_
#else
#define SUBGEN_KERNELS_CPU_QUANTIZE_INL_H_
#endif

#include <hwy/highway.h>

#include <bit>
#include <cmath>
#include <limits>

#include "kernels/cpu/expand-inl.h"
#include "kernels/cpu/quantized_tokens.h"

HWY_BEFORE_NAMESPACE();
namespace subgen::cpu::HWY_NAMESPACE {

struct QuantScale {
  float scale = 0.0f;    // not a number where one of the block is not finite
  float inverse = 0.0f;  // 0 where all are as good as 0
};

HWY_INLINE QuantScale QuantScaleOf(const float* numbers) {
  constexpr float kTiny = 0x1p-100f;  // kLargestQuant / kTiny is finite
  // As integers, which are ordered as such floats are; what is not a number is
  // above infinity.
  const hn::RebindToSigned<D> integer;
  auto bits = hn::Zero(integer);
  for (int64_t k = 0; k < kBlockQuants; k += kLanes) {
    const V magnitude = hn::Abs(hn::LoadU(kFloat, numbers + k));
    bits = hn::Max(bits, hn::BitCast(integer, magnitude));
  }
  const auto largest = std::bit_cast<float>(
      static_cast<int32_t>(hn::GetLane(hn::MaxOfLanes(integer, bits))));
  if (!std::isfinite(largest)) {
    return {std::numeric_limits<float>::quiet_NaN(), 0.0f};
  }
  if (largest < kTiny) return {};
  return {largest / kLargestQuant, kLargestQuant / largest};
}

HWY_INLINE void StoreHalves(const int32_t* quants, std::byte* out) {
  auto* const high = reinterpret_cast<int8_t*>(out);
  int8_t* const low = high + kBlockQuants;
  for (int64_t k = 0; k < kBlockQuants; ++k) {
    const int32_t upper = (quants[k] + 128) >> 8;
    high[k] = static_cast<int8_t>(upper);
    low[k] = static_cast<int8_t>(quants[k] - 256 * upper);
  }
}

HWY_INLINE void StoreWords(const int32_t* quants, std::byte* out) {
  auto* const words = reinterpret_cast<int16_t*>(out);
  for (int64_t k = 0; k < kBlockQuants; k += 4) {
    words[k] = static_cast<int16_t>(quants[k]);
    words[k + 1] = static_cast<int16_t>(quants[k + 2]);
    words[k + 2] = static_cast<int16_t>(quants[k + 1]);
    words[k + 3] = static_cast<int16_t>(quants[k + 3]);
  }
}

HWY_INLINE void QuantizeBlock(const float* numbers, QuantOrder order, int64_t b,
                              const QuantizedToken& out) {
  const QuantScale scale = QuantScaleOf(numbers);
  const V inverse = hn::Set(kFloat, scale.inverse);
  const hn::RebindToSigned<D> integer;
  HWY_ALIGN int32_t quants[kBlockQuants] = {};
  if (scale.inverse != 0.0f) {
    for (int64_t k = 0; k < kBlockQuants; k += kLanes) {
      const V scaled = hn::Mul(hn::LoadU(kFloat, numbers + k), inverse);
      hn::StoreU(hn::NearestInt(scaled), integer, quants + k);
    }
  }
  std::byte* const to = out.quants + b * kBlockQuantBytes;
  order == QuantOrder::kHalves ? StoreHalves(quants, to)
                               : StoreWords(quants, to);
  int32_t count = 0;
  for (const int32_t quant : quants) count += quant;
  out.scales[b] = scale.scale;
  out.counts[b] = count;
  out.sums[b] = scale.scale * static_cast<float>(count);
}

inline void QuantizeToken(Vector<const float> numbers, QuantOrder order,
                          const QuantizedToken& out) {
  const int64_t blocks = numbers.size() / kBlockQuants;
  for (int64_t b = 0; b < blocks; ++b) {
    QuantizeBlock(numbers.data() + b * kBlockQuants, order, b, out);
  }
}

}  // namespace subgen::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
