// The prompt is the text that is to be answered.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace subgen {

// The cap is longer than any context by far, and short enough for memory.
inline constexpr int64_t kMostPromptBytes = int64_t{1} << 28;

// Returns `text`, or what the file holds if one is named: a file, a pipe or a
// device, - for standard input. It reads not a byte beyond the cap. A folder is
// an error, as is a text that is empty, longer than the cap or not UTF-8.
absl::StatusOr<std::string> ReadPrompt(const std::string& text,
                                       const std::string& file);

}  // namespace subgen
