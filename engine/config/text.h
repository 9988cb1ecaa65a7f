// These help with the text of settings.
#pragma once

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace subgen {

// Writes text in double quotes on one line, as YAML reads it back.
std::string YamlQuoted(absl::string_view text);

// Returns the Levenshtein distance.
size_t EditDistance(absl::string_view a, absl::string_view b);

}  // namespace subgen
