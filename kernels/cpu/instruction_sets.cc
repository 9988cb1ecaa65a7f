#include "kernels/cpu/instruction_sets.h"

#include "kernels/cpu/simd.h"
// After the targets that are left out.
#include <hwy/targets.h>

#include "kernels/cpu/tile_set.h"

namespace subgen::cpu {

std::vector<std::string> InstructionSets() {
  std::vector<std::string> names;
  // The lower a target's bit, the better it is.
  const int64_t usable = hwy::SupportedTargets() & HWY_TARGETS;
  if (usable != 0) {
    const std::string best = hwy::TargetName(usable & -usable);
    // Highway numbers what Intel does not.
    names.push_back(best.substr(0, 4) == "AVX3" ? "AVX-512" : best);
  }
  for (const TileSet* set : TileSets()) {
    if (set->present()) names.push_back(set->name);
  }
  return names;
}

}  // namespace subgen::cpu
