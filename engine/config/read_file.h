// This reads whole files whose size nobody promised.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace subgen {

// Reads everything that a regular file, a pipe, a device or /dev/stdin gives
// until its end. Errors are one line with the path: it is absent or unreadable,
// a folder, or has more than `most_bytes` (no more than one byte beyond them is
// read).
absl::StatusOr<std::string> ReadWholeFile(const std::string& path,
                                          int64_t most_bytes);

// Reads in the same way what comes first: no more than `most_bytes`, and no
// error where there is more.
absl::StatusOr<std::string> ReadBeginning(const std::string& path,
                                          int64_t most_bytes);

}  // namespace subgen
