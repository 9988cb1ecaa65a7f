// One head is rotated by these angles.
#pragma once

#include <cstdint>

namespace subgen::cpu {

struct RotaryAngles {
  const float* cosine = nullptr;  // [pairs]
  const float* sine = nullptr;    // [pairs]
  int64_t pairs = 0;
  bool interleaved = false;  // pairs (2i, 2i + 1), else (i, i + pairs)
};

}  // namespace subgen::cpu
