// Which build this is.
#pragma once

#include <string>

namespace subgen {

// "0.1.0 (1a2b3c4d)": version and commit; "unknown" outside of a git checkout,
// with a + where files were changed since.
std::string Version();

// A line each: program and version, backends, instruction sets.
std::string VersionText(const std::string& program);

}  // namespace subgen
