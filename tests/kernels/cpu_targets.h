// These are instruction sets of the cpu backend, as tests pick them.
#pragma once

#include "kernels/base/check.h"
#include "kernels/cpu/tiles/instruction_sets.h"

namespace subgen {

// Kernels called from now on are those of the set, which this machine has.
inline const cpu::InstructionSet& UseSet(absl::string_view name) {
  const absl::Status status = cpu::UseInstructionSet(name);
  SUBGEN_CHECK(status.ok(), status.message());
  return cpu::InstructionSetInUse();
}

}  // namespace subgen
