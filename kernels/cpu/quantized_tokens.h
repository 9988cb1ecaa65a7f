// Tokens rounded to 16 bits, for products with quantised weights.
#pragma once

#include <cstdint>

namespace subgen::cpu {

// A number of a block of 32 is scale * (256 high + low) with the two in
// [-128, 127], off by at most half a scale, which is 1/32,639 of the block's
// largest magnitude. (With 8 bits the products would take half the time, but a
// change in the last bit of a sum, as between numbers of ranks, would be seen
// in the logits.)
inline constexpr int64_t kBlockQuants = 32;

// 127 * 256 + 127, so that the high half stays above -128.
inline constexpr float kLargestQuant = 32639.0f;

// One token, of whole blocks.
struct QuantizedToken {
  int8_t* high = nullptr;     // [cols]
  int8_t* low = nullptr;      // [cols]
  float* scales = nullptr;    // [blocks]
  float* sums = nullptr;      // [blocks] scale * sum of quants
  int32_t* counts = nullptr;  // [blocks] sum of quants
};

class QuantizedTokens {
 public:
  // Floats of memory, whole cache lines, that `tokens` tokens take.
  static int64_t Floats(int64_t tokens, int64_t cols) {
    return tokens * TokenFloats(cols);
  }
  QuantizedTokens(float* memory, int64_t cols) : memory_(memory), cols_(cols) {}

  QuantizedToken token(int64_t i) const {
    const int64_t blocks = cols_ / kBlockQuants;
    auto* high = reinterpret_cast<int8_t*>(memory_ + i * TokenFloats(cols_));
    auto* scales = reinterpret_cast<float*>(high + 2 * cols_);
    return {high, high + cols_, scales, scales + blocks,
            reinterpret_cast<int32_t*>(scales + 2 * blocks)};
  }

 private:
  static int64_t TokenFloats(int64_t cols) {
    const int64_t floats = 2 * cols / 4 + 3 * cols / kBlockQuants;
    return (floats + 15) / 16 * 16;
  }

  float* memory_;
  int64_t cols_;
};

}  // namespace subgen::cpu
