// Which instruction sets the kernels use: those of Highway's vectors and those
// of products of tiles, chosen together, for the whole process.
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

// Names of those of this machine (instruction_set_names.h), the best first.
std::vector<std::string> InstructionSetsOfMachine();

// From now on kernels are of the set; "auto": of the best. Called while no
// kernel runs. InvalidArgument where this machine does not have it.
absl::Status UseInstructionSet(absl::string_view name);
const InstructionSet& InstructionSetInUse();

}  // namespace subgen::cpu
