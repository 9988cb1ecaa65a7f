// Text of settings: checked on the way in, printable on the way out.
#pragma once

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace subgen {

// Offset of the first byte that is not UTF-8 (RFC 3629: no overlong forms, no
// surrogates); the size where all is.
size_t FirstInvalidUtf8(absl::string_view text);

// In double quotes on one line, as YAML reads it back.
std::string YamlQuoted(absl::string_view text);

// YamlQuoted of at most 60 bytes, for errors; any bytes are welcome.
std::string Excerpt(absl::string_view text);

// Levenshtein distance.
size_t EditDistance(absl::string_view a, absl::string_view b);

}  // namespace subgen
