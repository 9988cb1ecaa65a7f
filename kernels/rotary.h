// Rotary position embedding (Su et al., arXiv 2104.09864) rotates each pair of
// a head by an angle, which this defines.
#pragma once

#include <vector>

namespace subgen {

// Pair i of a head is rotated by position * inverse_frequency[i]. Scaling for
// long contexts (linear, llama3, YaRN) is already in the frequencies.
struct Rotary {
  std::vector<double> inverse_frequency;  // [rotary_dim / 2], radians per token
  double magnitude = 1.0;                 // YaRN's factor on the rotated head
  bool interleaved = false;  // pairs (2i, 2i + 1), else (i, i + rotary_dim / 2)
};

}  // namespace subgen
