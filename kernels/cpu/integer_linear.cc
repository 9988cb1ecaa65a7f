#include "kernels/cpu/integer_linear.h"

#include "kernels/cpu/integer_sets.h"

namespace subgen::cpu {

Vector<const IntegerSet* const> IntegerSets() {
#if HWY_ARCH_X86_64
  static constexpr const IntegerSet* kSets[] = {&kAvx512Vnni, &kAvxVnni,
                                                &kAvx2};
  return kSets;
#elif SUBGEN_HAS_NEON_DOT
  static constexpr const IntegerSet* kSets[] = {&kNeonDot};
  return kSets;
#else
  return {};
#endif
}

const IntegerSet* FindIntegerSet(int64_t most_bits) {
  for (const IntegerSet* set : IntegerSets()) {
    if (set->vector_bits <= most_bits && set->present()) return set;
  }
  return nullptr;
}

bool SuitsIntegers(BlockFormat format, int64_t cols) {
  return CanPack(format) && cols >= 4 * kBlockCols;
}

}  // namespace subgen::cpu
