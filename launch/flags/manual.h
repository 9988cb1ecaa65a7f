// Texts that follow from a program's table of flags.
#pragma once

#include <string>

#include "launch/flags/flags.h"

namespace subgen {

// In roff, for man(1).
std::string ManPage(const ProgramFlags& program);

// A script for bash-completion: flags, and keys and legal values after --set.
std::string BashCompletion(const ProgramFlags& program);

// The flag that is most like the word, with its dashes.
std::string NearestFlag(const ProgramFlags& program, absl::string_view word);

}  // namespace subgen
