// Text of unknown origin in an error line.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace subgen {

// In quotes, escaped, at most 80 bytes of it.
std::string Quoted(absl::string_view text);

}  // namespace subgen
