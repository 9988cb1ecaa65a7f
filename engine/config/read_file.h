// Whole files whose size nobody promised.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace subgen {

// Everything that a regular file, a pipe, a device or /dev/stdin gives until
// its end. Errors, one line with the path: absent or unreadable, a folder, more
// than `most_bytes` (no more than one byte beyond them is read).
absl::StatusOr<std::string> ReadWholeFile(const std::string& path,
                                          int64_t most_bytes);

// The same of what is read first: no more than `most_bytes`, and no error where
// there is more.
absl::StatusOr<std::string> ReadBeginning(const std::string& path,
                                          int64_t most_bytes);

}  // namespace subgen
