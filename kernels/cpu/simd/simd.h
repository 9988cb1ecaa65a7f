// Chooses the instruction sets that the kernels are compiled for. Include this
// before any file of Highway.
//
// Each kernel is compiled once for every target (on x86: plain C++, SSE4, AVX2,
// AVX-512) and chosen when it is first called. Two kinds are left out: SSSE3,
// whose machines take the plain path, and vectors without a fixed size, which
// do not fit in arrays.
#pragma once

#define HWY_DISABLED_TARGETS \
  (HWY_SSSE3 | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
