// The instruction sets of integer products, a file each.
#pragma once

#include "kernels/cpu/integer_linear.h"

namespace subgen::cpu {

extern const IntegerSet kAvx2;        // integer_avx2.cc
extern const IntegerSet kAvxVnni;     // integer_avx_vnni.cc
extern const IntegerSet kAvx512Vnni;  // integer_avx512_vnni.cc
extern const IntegerSet kNeonDot;     // integer_neon_dot.cc

}  // namespace subgen::cpu
