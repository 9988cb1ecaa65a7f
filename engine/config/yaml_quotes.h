// This finds quotes in YAML whose end is missing or elsewhere than was meant.
// The parser reports them where the file ends, or takes the lines that follow
// as text.
#pragma once

#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace subgen {

struct QuoteMistake {
  int line = 0, column = 0;  // of the quote that opens, from 1 on
  std::string message;
};

// Finds the first quoted scalar of the first document that has no end, that
// swallows a line which looks like a key, an entry or a comment and stands no
// deeper than the key it belongs to (YAML wants such text deeper), or that is
// followed by text on the line where it ends. Quotes in comments, block scalars
// and plain scalars open nothing, and quoted text of several lines is legal. It
// takes time linear in the text; where that is no YAML for another reason, none
// of it may be found.
std::optional<QuoteMistake> FindQuoteMistake(absl::string_view text);

}  // namespace subgen
