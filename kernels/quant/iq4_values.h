// Quants of IQ4_NL and IQ4_XS stand for these numbers (ggml's non-linear
// quantization).
#pragma once

#include <cstdint>

namespace subgen {

inline constexpr int8_t kIq4Values[16] = {
    -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

}  // namespace subgen
