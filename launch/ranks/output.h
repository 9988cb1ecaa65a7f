// A program's results go to standard output, or to a file in its place. Every
// write is checked; the first that fails is the program's error in the end.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace subgen {

// Call this first in main: a standard stream that is closed would give its
// number to the next file that is opened. It becomes one that cannot be read or
// written. A reader that went away (SIGPIPE) becomes a write that fails.
void PrepareStandardStreams();

// From now on Print writes to the path, through links, pipes and devices. The
// first Print empties a file, nothing before it does. With an empty path or "-"
// standard output stays.
absl::Status SetOutput(const std::string& path);

// Returns the descriptor that a path names: 1 for "-", /dev/stdout or
// /dev/fd/1, and -1 if it names none.
int DescriptorOf(const std::string& path);

// Returns an error if the output of a flag is the same file as an input.
absl::Status CheckIsNot(absl::string_view flag, const std::string& output,
                        const std::string& input);

// Writes at once. After the first failure nothing more is written, and each
// call returns that error, as OutputStatus does. Only one thread may call it.
absl::Status Print(absl::string_view text);
absl::Status OutputStatus();

// Writes all bytes to an open file; the error is errno's.
absl::Status WriteAll(int file, absl::string_view text);

}  // namespace subgen
