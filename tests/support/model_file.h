// This says where tests find the real model.
#pragma once

#include <string>

namespace subgen {

// The model is SmolLM2-135M-Instruct, Q4_1: the environment variable
// SMOLLM2_GGUF names it, else it is
// ${XDG_CACHE_HOME:-$HOME/.cache}/subgen/SmolLM2-135M-Instruct.Q4_1.gguf.
std::string SmolModelPath();
bool HaveSmolModel();  // tests that need it skip with a reason otherwise

// Returns a path for a file of the running test, in a folder that the program
// removes when it ends.
std::string TestPath(const std::string& name);

}  // namespace subgen
