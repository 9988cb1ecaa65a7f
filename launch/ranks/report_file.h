// A report file holds one report, the last, whole or not at all.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace subgen {

// "-", /dev/stdout and /dev/fd/N are open already and are written as they
// stand. A regular file is replaced by a whole new one of the same mode, under
// the name that a link points to. Pipes, devices and files of several names are
// written through. What lies beside the file is left alone.
class ReportFile {
 public:
  // Fails early if the path cannot be written. An empty path writes nothing.
  static absl::StatusOr<ReportFile> Open(const std::string& path);
  absl::Status Write(const std::string& contents) const;

 private:
  absl::Status Replace(const std::string& contents) const;
  absl::Status WriteThrough(const std::string& contents) const;
  absl::Status Error(int error) const;

  std::string path_;    // as it was given
  std::string target_;  // behind links
  int descriptor_ = -1;
  bool replaces_ = false;
  unsigned mode_ = 0666;  // of a file that is replaced
  bool exists_ = false;
};

}  // namespace subgen
