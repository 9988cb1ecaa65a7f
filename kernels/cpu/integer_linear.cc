#include "kernels/cpu/integer_linear.h"

#include <hwy/base.h>

#include <cmath>
#include <limits>

#if HWY_ARCH_X86_64

// False alarms of gcc 12 in its own header (its bug 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"

#define SUBGEN_VNNI_TARGET                                       \
  "avx2,fma,f16c,avx512f,avx512vl,avx512bw,avx512dq,avx512vbmi," \
  "avx512vnni"

#include "kernels/cpu/integer_tile-inl.h"

HWY_PUSH_ATTRIBUTES(SUBGEN_VNNI_TARGET)
namespace subgen::cpu {
namespace {

struct BlockScale {
  float scale = 0.0f;    // not a number where one of the block is not finite
  float inverse = 0.0f;  // 0 where all are as good as 0
};

BlockScale ScaleOf(__m512 first, __m512 last) {
  constexpr float kTiny = 0x1p-100f;  // kLargestQuant / kTiny is finite
  const float largest = _mm512_reduce_max_ps(
      _mm512_max_ps(_mm512_abs_ps(first), _mm512_abs_ps(last)));
  const __m512 zero = _mm512_setzero_ps();
  const __mmask16 finite =
      _mm512_cmp_ps_mask(_mm512_mul_ps(first, zero), zero, _CMP_EQ_OQ) &
      _mm512_cmp_ps_mask(_mm512_mul_ps(last, zero), zero, _CMP_EQ_OQ);
  if (finite != 0xffff) return {std::numeric_limits<float>::quiet_NaN(), 0.0f};
  if (largest < kTiny) return {};
  return {largest / kLargestQuant, kLargestQuant / largest};
}

// quant = 256 high + low
void StoreHalves(__m512i quants, int8_t* high, int8_t* low) {
  const __m512i upper =
      _mm512_srai_epi32(_mm512_add_epi32(quants, _mm512_set1_epi32(128)), 8);
  const __m512i lower = _mm512_sub_epi32(quants, _mm512_slli_epi32(upper, 8));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(high),
                   _mm512_cvtsepi32_epi8(upper));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(low),
                   _mm512_cvtsepi32_epi8(lower));
}

void QuantizeBlock(const float* numbers, int64_t block,
                   const QuantizedToken& out) {
  const __m512 first = _mm512_loadu_ps(numbers);
  const __m512 last = _mm512_loadu_ps(numbers + 16);
  const BlockScale scale = ScaleOf(first, last);
  const __m512 inverse = _mm512_set1_ps(scale.inverse);
  const __mmask16 finite = std::isnan(scale.scale) ? 0 : 0xffff;
  const __m512i quants[2] = {
      _mm512_maskz_cvtps_epi32(finite, _mm512_mul_ps(first, inverse)),
      _mm512_maskz_cvtps_epi32(finite, _mm512_mul_ps(last, inverse))};
  const int64_t at =
      block / kGroupBlocks * kGroupQuants + block % kGroupBlocks * 16;
  for (int64_t half = 0; half < 2; ++half) {
    StoreHalves(quants[half], out.high + at + half * 64,
                out.low + at + half * 64);
  }
  out.scales[block] = scale.scale;
  out.counts[block] =
      _mm512_reduce_add_epi32(_mm512_add_epi32(quants[0], quants[1]));
  out.sums[block] = scale.scale * static_cast<float>(out.counts[block]);
}

template <class Blocks>
void Rows(const LinearPart& part, const QuantizedTokens& tokens,
          float* scratch) {
  // Laying out a tile costs about as much as multiplying it with 6 tokens.
  constexpr int64_t kFewTokens = 8;
  if (part.output.rows < kFewTokens) {
    RowsByToken<Blocks>(part, tokens);
  } else {
    RowsByTile<Blocks>(part, tokens, scratch);
  }
}

}  // namespace

void QuantizeToken(Vector<const float> numbers, const QuantizedToken& out) {
  const int64_t blocks = numbers.size() / kBlockQuants;
  const int64_t groups = QuantGroups(numbers.size());
  if (blocks % kGroupBlocks != 0) {
    const int64_t last = (groups - 1) * kGroupQuants;
    std::fill_n(out.high + last, kGroupQuants, 0);
    std::fill_n(out.low + last, kGroupQuants, 0);
  }
  for (int64_t b = 0; b < blocks; ++b) {
    QuantizeBlock(numbers.data() + b * kBlockQuants, b, out);
  }
  for (int64_t b = blocks; b < groups * kGroupBlocks; ++b) {
    out.scales[b] = out.sums[b] = 0.0f;
    out.counts[b] = 0;
  }
}

void IntegerLinearRows(const LinearPart& part, const QuantizedTokens& tokens,
                       float* scratch) {
  switch (part.weight.format) {
    case BlockFormat::kQ4_0:
      return Rows<BlocksQ4_0>(part, tokens, scratch);
    case BlockFormat::kQ4_1:
      return Rows<BlocksQ4_1>(part, tokens, scratch);
    case BlockFormat::kQ8_0:
      return Rows<BlocksQ8_0>(part, tokens, scratch);
    default:
      Fatal(absl::StrCat("no integer products of ",
                         BlockFormatName(part.weight.format)));
  }
}

int64_t IntegerLinearScratch() {
  return kChunkGroups * kGroupBlocks * sizeof(TileBlock) / sizeof(float);
}

}  // namespace subgen::cpu
HWY_POP_ATTRIBUTES

namespace subgen::cpu {

// Where there are no such instructions this must run too.
bool HasIntegerLinear(BlockFormat format, int64_t cols) {
  static const bool has_instructions = __builtin_cpu_supports("avx512vnni") &&
                                       __builtin_cpu_supports("avx512vbmi");
  return has_instructions && cols >= kGroupQuants &&
         (format == BlockFormat::kQ4_0 || format == BlockFormat::kQ4_1 ||
          format == BlockFormat::kQ8_0);
}

}  // namespace subgen::cpu

#else

namespace subgen::cpu {

bool HasIntegerLinear(BlockFormat, int64_t) { return false; }
void QuantizeToken(Vector<const float>, const QuantizedToken&) {
  Fatal("no integer products");
}
void IntegerLinearRows(const LinearPart&, const QuantizedTokens&, float*) {
  Fatal("no integer products");
}
int64_t IntegerLinearScratch() { return 0; }

}  // namespace subgen::cpu

#endif
