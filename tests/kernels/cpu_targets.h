// Instruction sets of the cpu backend, as tests pick them.
#pragma once

#include "kernels/cpu/simd.h"
// After simd.h, which says which targets there are.
#include <hwy/highway.h>

#include "kernels/cpu/integer_linear.h"

namespace subgen {

// Kernels called from now on are those of `target`; 0: of the best one.
inline void UseTarget(int64_t target) {
  hwy::SetSupportedTargetsForTest(target);
  hwy::GetChosenTarget().DeInit();
}

// Null where the target's vectors are too short for integer products.
inline const cpu::IntegerSet* IntegerSetOf(int64_t target) {
  switch (target) {
    case HWY_SCALAR:
      return cpu::FindIntegerSet(32);
    case HWY_AVX2:
      return cpu::FindIntegerSet(256);
    case HWY_AVX3:
      return cpu::FindIntegerSet(512);
    default:
      return cpu::FindIntegerSet(128);
  }
}

}  // namespace subgen
