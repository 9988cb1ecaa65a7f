// Where a program's results go: standard output, or a file in its place. Every
// write is checked; the first that fails is the program's error in the end.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace subgen {

// First thing in main: a standard stream that is closed would give its number
// to the next file that is opened. It becomes one that cannot be read or
// written. A reader that went away (SIGPIPE) becomes a write that fails.
void PrepareStandardStreams();

// From now on Print writes there; the file is made or emptied, links, pipes and
// devices are written through. Empty: standard output stays.
absl::Status SetOutput(const std::string& path);

// Writes at once. After the first failure nothing more is written and each
// call, as OutputStatus, returns that error. Of one thread.
absl::Status Print(absl::string_view text);
absl::Status OutputStatus();

// Writes all bytes to an open file; the error is errno's.
absl::Status WriteAll(int file, absl::string_view text);

}  // namespace subgen
