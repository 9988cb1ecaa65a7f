// Reads the front of a GGUF file piece by piece. Every length is held against
// the bytes that remain before it is used, and no memory is taken on the word
// of the file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "kernels/memory/view.h"

namespace subgen {

class GgufCursor {
 public:
  explicit GgufCursor(Vector<const std::byte> file) : file_(file) {}

  uint64_t offset() const { return offset_; }
  uint64_t remaining() const { return file_.size() - offset_; }

  // `what` names the thing that is read, for the error.
  template <class T>
  absl::StatusOr<T> Read(absl::string_view what) {
    auto bytes = Bytes(sizeof(T), what);
    if (!bytes.ok()) return bytes.status();
    T value;
    std::memcpy(&value, bytes->data(), sizeof(T));
    return value;
  }
  absl::StatusOr<Vector<const std::byte>> Bytes(uint64_t count,
                                                absl::string_view what);
  // Reads a length and as many bytes, at most `cap`, valid UTF-8.
  absl::StatusOr<absl::string_view> String(uint64_t cap,
                                           absl::string_view what);
  // Reads a string that names something: it is not empty and has no control
  // characters.
  absl::StatusOr<absl::string_view> Name(uint64_t cap, absl::string_view what);

 private:
  Vector<const std::byte> file_;
  uint64_t offset_ = 0;
};

}  // namespace subgen
