// This maps a regular file read-only.
#pragma once

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"
#include "kernels/memory/view.h"

namespace subgen {

// Errors name the path and the cause. A file that another process shortens
// while it is mapped ends this one (SIGBUS): model files must not change.
class MappedFile {
 public:
  static absl::StatusOr<MappedFile> Open(const std::string& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  Vector<const std::byte> bytes() const { return bytes_; }
  // Gives back the memory of what was read; it is read again when asked for.
  void DropPages() const;

 private:
  explicit MappedFile(Vector<const std::byte> bytes) : bytes_(bytes) {}
  Vector<const std::byte> bytes_;
};

}  // namespace subgen
