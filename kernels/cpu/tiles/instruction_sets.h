// Chooses the instruction sets that the kernels use: those of Highway's vectors
// and those of products of tiles, together, for the whole process.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "kernels/cpu/tiles/tile_set.h"

namespace subgen::cpu {

struct InstructionSet {
  const char* name = nullptr;  // as the setting cpu.instruction_set has it
  int64_t highway_target = 0;
  int64_t vector_bits = 0;
  const TileSet* tiles = nullptr;  // null: products are of float32
};

// Returns the names of the sets of this machine (instruction_set_names.h), the
// best first.
std::vector<std::string> InstructionSetsOfMachine();

// From now on, kernels use this set; "auto" means the best. Call it while no
// kernel runs. It is InvalidArgument if this machine does not have the set.
absl::Status UseInstructionSet(absl::string_view name);
const InstructionSet& InstructionSetInUse();

}  // namespace subgen::cpu
