// These say which build this is.
#pragma once

#include <string>

namespace subgen {

// Returns version and commit as "0.1.0 (1a2b3c4d)". The commit is "unknown"
// outside of a git checkout, and has a + if files were changed since.
std::string Version();

// Returns a line each on program and version, backends, instruction sets.
std::string VersionText(const std::string& program);

}  // namespace subgen
