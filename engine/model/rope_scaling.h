// This says how far each pair of a head is rotated per token, under the
// scalings that stretch a model's context.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/rotary.h"

namespace subgen {

struct RopeScaling {
  enum class Type { kNone, kLinear, kLlama3, kYarn };
  Type type = Type::kNone;
  double factor = 1.0;
  double original_context = 0.0;  // tokens, for llama3 and YaRN
  // In llama3, wavelengths below original_context / high stay, and those above
  // original_context / low are stretched.
  double low_frequency_factor = 1.0;
  double high_frequency_factor = 4.0;
  // In YaRN, these are the full circles within the original context between
  // which it goes over from stretched (slow) to unchanged (fast).
  double beta_slow = 1.0;
  double beta_fast = 32.0;
  double extrapolation = 1.0;     // share of the unchanged angle, (0, 1]
  double attention_factor = 1.0;  // on the magnitude
  double log_multiplier = 0.0;    // 0: the magnitude is 0.1 ln(factor) + 1
};

struct RopeParameters {
  int64_t dimension = 0;  // numbers of a head that are rotated, even
  double frequency_base = 10000.0;
  bool interleaved = false;
  RopeScaling scaling;
  std::vector<float> frequency_divisors;  // [dimension / 2] or empty
};

// Frequencies are base^(-2i / dimension), divided by frequency_divisors[i].
// Linear scaling (Chen et al., arXiv 2306.15595) divides all by the factor.
// llama3 is Llama 3.1's rule, smooth between two wavelengths. YaRN is Peng et
// al., arXiv 2309.00071, section 3.
Rotary MakeRotary(const RopeParameters& parameters);

}  // namespace subgen
