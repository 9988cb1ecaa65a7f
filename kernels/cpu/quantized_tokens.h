// Tokens rounded to 16 bits, for products with quantised weights.
#pragma once

#include <cstdint>

namespace subgen::cpu {

// Blocks of 32 numbers as in the weights, and groups of 4 blocks. A number is
// scale * (256 high + low) with the two in [-128, 127], off by at most half a
// scale, which is 1/32,639 of the block's largest magnitude. (With 8 bits the
// products would take half the time, but a change in the last bit of a sum, as
// between numbers of ranks, would be seen in the logits.)
inline constexpr int64_t kBlockQuants = 32;
inline constexpr int64_t kGroupBlocks = 4;
inline constexpr int64_t kGroupQuants = kGroupBlocks * kBlockQuants;

// 127 * 256 + 127, so that the high half stays above -128.
inline constexpr float kLargestQuant = 32639.0f;

inline int64_t QuantGroups(int64_t cols) {
  return (cols + kGroupQuants - 1) / kGroupQuants;
}

// One token. A group's halves of quants are [first 16 of each block | last 16
// of each], so that a block is one 128-bit lane of a vector.
struct QuantizedToken {
  int8_t* high = nullptr;     // [groups * 128]
  int8_t* low = nullptr;      // [groups * 128]
  float* scales = nullptr;    // [groups * 4]
  float* sums = nullptr;      // [groups * 4] scale * sum of quants
  int32_t* counts = nullptr;  // [groups * 4] sum of quants
};

class QuantizedTokens {
 public:
  // Floats of memory, whole cache lines, that `tokens` tokens take.
  static int64_t Floats(int64_t tokens, int64_t cols) {
    return tokens * TokenFloats(QuantGroups(cols));
  }
  QuantizedTokens(float* memory, int64_t cols)
      : memory_(memory), groups_(QuantGroups(cols)) {}

  int64_t groups() const { return groups_; }
  QuantizedToken token(int64_t i) const {
    float* scales = memory_ + i * TokenFloats(groups_);
    float* sums = scales + kGroupBlocks * groups_;
    float* counts = sums + kGroupBlocks * groups_;
    auto* high = reinterpret_cast<int8_t*>(counts + kGroupBlocks * groups_);
    return {high, high + kGroupQuants * groups_, scales, sums,
            reinterpret_cast<int32_t*>(counts)};
  }

 private:
  static int64_t TokenFloats(int64_t groups) {
    const int64_t floats = groups * (3 * kGroupBlocks + 2 * kGroupQuants / 4);
    return (floats + 15) / 16 * 16;
  }

  float* memory_;
  int64_t groups_;
};

}  // namespace subgen::cpu
