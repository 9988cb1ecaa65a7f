// The instruction sets of integer products, a file each.
#pragma once

#include <hwy/base.h>

#include "kernels/cpu/integer_linear.h"

// clang before 16 has those instructions for whole files only.
#define SUBGEN_HAS_NEON_DOT (HWY_ARCH_ARM_A64 && HWY_COMPILER_GCC_ACTUAL)

namespace subgen::cpu {

extern const IntegerSet kAvx2;        // integer_avx2.cc
extern const IntegerSet kAvxVnni;     // integer_avx_vnni.cc
extern const IntegerSet kAvx512Vnni;  // integer_avx512_vnni.cc
extern const IntegerSet kNeonDot;     // integer_neon_dot.cc

}  // namespace subgen::cpu
