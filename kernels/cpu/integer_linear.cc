#include "kernels/cpu/integer_linear.h"

#include <hwy/base.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#if HWY_ARCH_X86_64

// False alarms of gcc 12 in its own header (its bug 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"

#define SUBGEN_VNNI_TARGET \
  "avx2,fma,f16c,avx512f,avx512vl,avx512bw,avx512dq,avx512vnni"

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
  // As integers, which are ordered as such floats are; what is not a number is
  // above infinity.
  const int32_t bits = _mm512_reduce_max_epi32(
      _mm512_max_epi32(_mm512_castps_si512(_mm512_abs_ps(first)),
                       _mm512_castps_si512(_mm512_abs_ps(last))));
  const float largest = std::bit_cast<float>(bits);
  if (!std::isfinite(largest)) {
    return {std::numeric_limits<float>::quiet_NaN(), 0.0f};
  }
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
  for (int64_t half = 0; half < 2; ++half) {
    const int64_t at = block * kBlockQuants + half * 16;
    StoreHalves(quants[half], out.high + at, out.low + at);
  }
  out.scales[block] = scale.scale;
  out.counts[block] =
      _mm512_reduce_add_epi32(_mm512_add_epi32(quants[0], quants[1]));
  out.sums[block] = scale.scale * static_cast<float>(out.counts[block]);
}

}  // namespace

void QuantizeToken(Vector<const float> numbers, const QuantizedToken& out) {
  const int64_t blocks = numbers.size() / kBlockQuants;
  for (int64_t b = 0; b < blocks; ++b) {
    QuantizeBlock(numbers.data() + b * kBlockQuants, b, out);
  }
}

// The part's rows are those of kTiles tiles, from `data` on.
template <int kTiles>
static void MultiplyTilesOf(const std::byte* data,
                            const QuantizedTokens& tokens,
                            const LinearPart& part) {
  switch (part.weight->format) {
    case BlockFormat::kQ4_0:
      return MultiplyTiles<TileQ4_0, kTiles>(data, tokens, part);
    case BlockFormat::kQ4_1:
      return MultiplyTiles<TileQ4_1, kTiles>(data, tokens, part);
    default:
      return MultiplyTiles<TileQ8_0, kTiles>(data, tokens, part);
  }
}

void IntegerLinearRows(const LinearPart& part, const QuantizedTokens& tokens,
                       std::byte* scratch) {
  const int64_t tile_bytes = TileBytes(*part.weight);
  const bool many = part.input.rows >= 4;
  LinearPart rows = part;
  for (int64_t left = part.count; left > 0; left -= rows.count) {
    const int64_t tile = rows.first / kTileRows;
    const int64_t taken = many && left > kTileRows ? 2 : 1;
    for (int64_t i = 0; part.tiles == nullptr && i < taken; ++i) {
      PackTile(*part.weight, tile + i, scratch + i * tile_bytes);
    }
    const std::byte* const data =
        part.tiles == nullptr ? scratch : part.tiles + tile * tile_bytes;
    rows.count = std::min(left, taken * kTileRows);
    taken == 2 ? MultiplyTilesOf<2>(data, tokens, rows)
               : MultiplyTilesOf<1>(data, tokens, rows);
    rows.first += rows.count;
  }
}

}  // namespace subgen::cpu
HWY_POP_ATTRIBUTES

namespace subgen::cpu {

// Where there are no such instructions this must run too.
bool HasIntegerLinear(BlockFormat format, int64_t cols) {
  static const bool has_instructions = __builtin_cpu_supports("avx512vnni") &&
                                       __builtin_cpu_supports("avx512bw");
  return has_instructions && CanPack(format) && cols >= 4 * kBlockCols;
}

}  // namespace subgen::cpu

#else

namespace subgen::cpu {

bool HasIntegerLinear(BlockFormat, int64_t) { return false; }
void QuantizeToken(Vector<const float>, const QuantizedToken&) {
  Fatal("no integer products");
}
void IntegerLinearRows(const LinearPart&, const QuantizedTokens&, std::byte*) {
  Fatal("no integer products");
}

}  // namespace subgen::cpu

#endif
