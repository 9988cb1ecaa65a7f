// Rotary position embedding (Su et al., arXiv 2104.09864): which angle each
// pair of a head turns by.
#pragma once

#include <vector>

namespace subgen {

// Pair i of a head turns by position * inverse_frequency[i]. Scaling for long
// contexts (linear, llama3, YaRN) is already in the frequencies.
struct Rotary {
  std::vector<double> inverse_frequency;  // [rotary_dim / 2], radians a token
  double magnitude = 1.0;                 // YaRN's factor on the turned head
  bool interleaved = false;  // pairs (2i, 2i + 1), else (i, i + rotary_dim / 2)
};

}  // namespace subgen
