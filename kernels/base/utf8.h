// This is UTF-8 as the Unicode standard defines it (table 3-7): it has no
// overlong forms, no surrogates, and nothing above U+10FFFF.
#pragma once

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace subgen {

inline constexpr absl::string_view kReplacementCharacter = "\xEF\xBF\xBD";

// A text begins with one of these.
struct Utf8Character {
  enum class Kind {
    kComplete,
    kIncomplete,  // the text ends inside a character
    kInvalid,
  };
  Kind kind = Kind::kComplete;
  // The number of bytes is that of the character. If it is not complete, it is
  // that of the longest beginning of one, at least 1, which a decoder replaces
  // by one U+FFFD (Unicode 15.0, section 3.9, "maximal subpart").
  size_t bytes = 0;
};

// `text` must not be empty.
Utf8Character FirstUtf8Character(absl::string_view text);

// Returns the code point of one complete character.
char32_t DecodeUtf8(absl::string_view character);

// Returns the offset of the first byte that does not belong to a complete
// character; text.size() if all is valid.
size_t ValidUtf8Prefix(absl::string_view text);

// Appends the bytes of a code point.
void AppendUtf8(char32_t code_point, std::string* text);

}  // namespace subgen
