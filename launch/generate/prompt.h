// The text that is to be answered.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace subgen {

// Longer than any context by far, short enough for memory.
inline constexpr int64_t kMostPromptBytes = int64_t{1} << 28;

// `text`, or what the file holds where one is named: a file, a pipe or a
// device, - for standard input. Not a byte is read beyond the cap. An error: a
// folder, nothing in it, more than the cap, not UTF-8.
absl::StatusOr<std::string> ReadPrompt(const std::string& text,
                                       const std::string& file);

}  // namespace subgen
