// The bytes of a saved slot are plain values in host byte order, one after
// another.
#pragma once

#include <cstring>
#include <string>
#include <type_traits>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "kernels/memory/view.h"

namespace subgen {

class ByteWriter {
 public:
  template <class T>
  void Put(const T& value) {
    PutAll(Vector<const T>(&value, 1));
  }
  template <class T>
  void PutAll(Vector<const T> values) {
    static_assert(std::is_trivially_copyable_v<T>);
    bytes_.append(reinterpret_cast<const char*>(values.data()),
                  values.size_bytes());
  }
  std::string Take() && { return std::move(bytes_); }

 private:
  std::string bytes_;
};

// Reads bytes that nobody vouches for: to read past the end is an error.
class ByteReader {
 public:
  explicit ByteReader(absl::string_view bytes) : bytes_(bytes) {}

  template <class T>
  absl::Status Get(T* value) {
    return GetAll(Vector<T>(value, 1));
  }
  template <class T>
  absl::Status GetAll(Vector<T> values) {
    static_assert(std::is_trivially_copyable_v<T>);
    if (values.size_bytes() > bytes_.size()) {
      return absl::DataLossError("saved cache: ends too early");
    }
    if (!values.empty()) {
      std::memcpy(values.data(), bytes_.data(), values.size_bytes());
    }
    bytes_.remove_prefix(values.size_bytes());
    return absl::OkStatus();
  }
  int64_t left() const { return static_cast<int64_t>(bytes_.size()); }

 private:
  absl::string_view bytes_;
};

// Returns an error where a saved number is not what its place allows.
inline absl::Status CheckSaved(bool legal, absl::string_view what) {
  return legal ? absl::OkStatus()
               : absl::DataLossError(
                     absl::StrCat("saved cache: ", what, " is not legal"));
}

}  // namespace subgen
