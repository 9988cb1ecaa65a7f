// These are the values of the setting cpu.instruction_set beside "auto", for
// all processors.
#pragma once

#include <array>

#include "absl/strings/string_view.h"

namespace subgen::cpu {

inline constexpr std::array<absl::string_view, 8> kInstructionSetNames = {
    "avx512_vnni", "avx512",   "avx_vnni", "avx2",
    "sse4",        "neon_dot", "neon",     "scalar"};

}  // namespace subgen::cpu
