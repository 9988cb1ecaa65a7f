// These texts follow from a program's table of flags.
#pragma once

#include <string>

#include "launch/flags/flags.h"

namespace subgen {

// Writes the man page in roff, for man(1).
std::string ManPage(const ProgramFlags& program);

// Writes a script for bash-completion: flags, and after --set keys and legal
// values.
std::string BashCompletion(const ProgramFlags& program);

// Returns the flag that is most like the word, with its dashes.
std::string NearestFlag(const ProgramFlags& program, absl::string_view word);

}  // namespace subgen
