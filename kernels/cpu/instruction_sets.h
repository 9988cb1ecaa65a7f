// Which instruction sets the kernels use on this machine.
#pragma once

#include <string>
#include <vector>

namespace subgen::cpu {

// Names, the best first: of the vector code (Highway's targets), then of the
// integer products.
std::vector<std::string> InstructionSets();

}  // namespace subgen::cpu
