// Puts text of unknown origin into an error line.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace subgen {

// Returns the text in quotes, escaped, and at most 80 bytes of it.
std::string Quoted(absl::string_view text);

}  // namespace subgen
