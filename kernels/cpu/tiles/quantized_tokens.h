// Tokens are rounded to 16 bits for products with quantized weights.
#pragma once

#include <cstddef>
#include <cstdint>

namespace subgen::cpu {

// A number of a block of 32 is scale * quant, off by at most half a scale,
// which is 1/32,639 of the block's largest magnitude. (With 8 bits the products
// would take half the time, but a change in the last bit of a sum, as between
// numbers of ranks, would be seen in the logits.)
inline constexpr int64_t kBlockQuants = 32;
inline constexpr int64_t kBlockQuantBytes = 2 * kBlockQuants;

// This is 127 * 256 + 127, so that the high half stays above -128.
inline constexpr float kLargestQuant = 32639.0f;

// Says how the quants of a block lie, as instructions take them.
enum class QuantOrder {
  kHalves,  // 32 high bytes, 32 low ones: quant = 256 high + low, both signed
  kWords,   // 32 words; of each four columns the first, third, second, fourth
};

// This is one token, made of whole blocks.
struct QuantizedToken {
  std::byte* quants = nullptr;          // [blocks][kBlockQuantBytes]
  float* scales = nullptr;              // [blocks]
  float* sums = nullptr;                // [blocks] scale * sum of quants
  int32_t* counts = nullptr;            // [blocks] sum of quants
  int32_t (*half_counts)[2] = nullptr;  // [blocks] the same of each half
};

class QuantizedTokens {
 public:
  // Returns the floats of memory, in whole cache lines, that `tokens` tokens
  // take.
  static int64_t Floats(int64_t tokens, int64_t cols) {
    return tokens * TokenFloats(cols);
  }
  QuantizedTokens(float* memory, int64_t cols) : memory_(memory), cols_(cols) {}

  QuantizedToken token(int64_t i) const {
    const int64_t blocks = cols_ / kBlockQuants;
    auto* quants =
        reinterpret_cast<std::byte*>(memory_ + i * TokenFloats(cols_));
    auto* scales = reinterpret_cast<float*>(quants + blocks * kBlockQuantBytes);
    return {quants, scales, scales + blocks,
            reinterpret_cast<int32_t*>(scales + 2 * blocks),
            reinterpret_cast<int32_t(*)[2]>(scales + 3 * blocks)};
  }

 private:
  static int64_t TokenFloats(int64_t cols) {
    const int64_t floats = 2 * cols / 4 + 5 * cols / kBlockQuants;
    // The number of cache lines is odd, so that tokens do not share cache sets.
    return ((floats + 15) / 16 | 1) * 16;
  }

  float* memory_;
  int64_t cols_;
};

}  // namespace subgen::cpu
