#include "kernels/cpu/tiles/instruction_sets.h"

#include <atomic>

#include "absl/strings/str_join.h"
#include "kernels/base/quoted.h"
#include "kernels/cpu/simd/simd.h"
// This must come after the targets that are left out.
#include <hwy/highway.h>

namespace subgen::cpu {
namespace {

// Returns the machine's sets, the best first. AVX-512 without dot products of
// integers takes the tiles of 256 bits.
std::vector<InstructionSet> SetsOfMachine() {
  std::vector<InstructionSet> sets;
  const int64_t targets = hwy::SupportedTargets() & HWY_TARGETS;
  const auto add = [&](const char* name, int64_t target, int64_t bits,
                       const TileSet* tiles) {
    if ((targets & target) == 0) return;
    if (tiles != nullptr && !tiles->present()) return;
    sets.push_back({name, target, bits, tiles});
  };
#if HWY_ARCH_X86_64
  add("avx512_vnni", HWY_AVX3, 512, &kAvx512Vnni);
  add("avx512", HWY_AVX3, 512, &kAvx2);
  add("avx_vnni", HWY_AVX2, 256, &kAvxVnni);
  add("avx2", HWY_AVX2, 256, &kAvx2);
  add("sse4", HWY_SSE4, 128, nullptr);
#elif HWY_ARCH_ARM
#if SUBGEN_HAS_NEON_DOT
  add("neon_dot", HWY_NEON, 128, &kNeonDot);
#endif
  add("neon", HWY_NEON, 128, nullptr);
#endif
  add("scalar", HWY_TARGETS & (HWY_EMU128 | HWY_SCALAR), 32, nullptr);
  return sets;
}

// The machine is asked once, before any target is disabled.
const std::vector<InstructionSet>& Sets() {
  static const std::vector<InstructionSet> sets = SetsOfMachine();
  return sets;
}

std::atomic<const InstructionSet*> in_use = nullptr;

}  // namespace

std::vector<std::string> InstructionSetsOfMachine() {
  std::vector<std::string> names;
  for (const InstructionSet& set : Sets()) names.push_back(set.name);
  return names;
}

absl::Status UseInstructionSet(absl::string_view name) {
  for (const InstructionSet& set : Sets()) {
    if (name != "auto" && name != set.name) continue;
    in_use = &set;
    // The lower a target's bit is, the better the target.
    hwy::DisableTargets(set.highway_target - 1);
    hwy::GetChosenTarget().DeInit();
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "cpu.instruction_set ", Quoted(name),
      ": this machine has no such instructions; legal here are auto, ",
      absl::StrJoin(InstructionSetsOfMachine(), ", ")));
}

const InstructionSet& InstructionSetInUse() {
  const InstructionSet* set = in_use;
  return set == nullptr ? Sets().front() : *set;
}

}  // namespace subgen::cpu
