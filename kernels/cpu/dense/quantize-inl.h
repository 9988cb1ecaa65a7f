// Quantizes tokens. The file is compiled once per target.
#if defined(SUBGEN_KERNELS_CPU_QUANTIZE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SUBGEN_KERNELS_CPU_QUANTIZE_INL_H_
#undef SUBGEN_KERNELS_CPU_QUANTIZE_INL_H_
#else
#define SUBGEN_KERNELS_CPU_QUANTIZE_INL_H_
#endif

#include <hwy/highway.h>

#include <bit>
#include <limits>

#include "kernels/cpu/simd/expand-inl.h"
#include "kernels/cpu/simd/numbers-inl.h"
#include "kernels/cpu/tiles/quantized_tokens.h"

HWY_BEFORE_NAMESPACE();
namespace subgen::cpu::HWY_NAMESPACE {

// Returns the largest magnitude of a block; it is not finite where a number is
// not.
HWY_INLINE float LargestOfBlock(const float* numbers) {
  // Magnitudes are compared as integers, which have the same order as such
  // floats; NaN is above infinity.
  const hn::RebindToSigned<D> integer;
  auto bits = hn::Zero(integer);
  for (int64_t k = 0; k < kBlockQuants; k += kLanes) {
    const V magnitude = hn::Abs(hn::LoadU(kFloat, numbers + k));
    bits = hn::Max(bits, hn::BitCast(integer, magnitude));
  }
  return std::bit_cast<float>(
      static_cast<int32_t>(hn::GetLane(hn::MaxOfLanes(integer, bits))));
}

// Sets scales and inverses of blocks from their largest magnitudes. Scales are
// NaN where a number of the block is not finite; inverses are 0 there, and
// where all numbers are as good as 0.
HWY_INLINE void SetScales(int64_t blocks, float* scales, float* inverses) {
  constexpr float kTiny = 0x1p-100f;  // kLargestQuant / kTiny is finite
  ForNumbers(blocks, [&](auto d, int64_t b) HWY_ATTR {
    const auto most = hn::Set(d, kLargestQuant);
    const auto largest = hn::LoadU(d, scales + b);
    const auto finite =
        hn::Le(largest, hn::Set(d, std::numeric_limits<float>::max()));
    const auto some = hn::Ge(largest, hn::Set(d, kTiny));
    const auto nan = hn::Set(d, std::numeric_limits<float>::quiet_NaN());
    const auto scale = hn::IfThenElseZero(some, hn::Div(largest, most));
    hn::StoreU(hn::IfThenElse(finite, scale, nan), d, scales + b);
    hn::StoreU(
        hn::IfThenElseZero(hn::And(finite, some), hn::Div(most, largest)), d,
        inverses + b);
  });
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

// Quantizes a block; inverse: 0 where all quants are 0. Sets the sums of
// quants, and those of each half.
HWY_INLINE void QuantizeBlock(const float* numbers, QuantOrder order,
                              float inverse, std::byte* to,
                              int32_t (&counts)[2]) {
  const hn::RebindToSigned<D> integer;
  HWY_ALIGN int32_t quants[kBlockQuants];
  for (int half = 0; half < 2; ++half) {
    auto count = hn::Zero(integer);
    for (int64_t i = 0; i < kBlockQuants / 2; i += kLanes) {
      const int64_t k = half * kBlockQuants / 2 + i;
      const V scaled =
          hn::Mul(hn::LoadU(kFloat, numbers + k), hn::Set(kFloat, inverse));
      // A number that is not finite has no inverse.
      const auto quant =
          inverse == 0.0f ? hn::Zero(integer) : hn::NearestInt(scaled);
      count = hn::Add(count, quant);
      hn::StoreU(quant, integer, quants + k);
    }
    counts[half] = hn::GetLane(hn::SumOfLanes(integer, count));
  }
  order == QuantOrder::kHalves ? StoreHalves(quants, to)
                               : StoreWords(quants, to);
}

// Works in passes, so that one block does not wait for the division of another.
inline void QuantizeToken(Vector<const float> numbers, QuantOrder order,
                          const QuantizedToken& out) {
  const int64_t blocks = numbers.size() / kBlockQuants;
  float* const inverses = out.sums;  // until these are known
  for (int64_t b = 0; b < blocks; ++b) {
    out.scales[b] = LargestOfBlock(numbers.data() + b * kBlockQuants);
  }
  SetScales(blocks, out.scales, inverses);
  for (int64_t b = 0; b < blocks; ++b) {
    QuantizeBlock(numbers.data() + b * kBlockQuants, order, inverses[b],
                  out.quants + b * kBlockQuantBytes, out.half_counts[b]);
    out.counts[b] = out.half_counts[b][0] + out.half_counts[b][1];
  }
  for (int64_t b = 0; b < blocks; ++b) {
    out.sums[b] = out.scales[b] * static_cast<float>(out.counts[b]);
  }
}

}  // namespace subgen::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
