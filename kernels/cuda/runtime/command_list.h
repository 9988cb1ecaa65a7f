// Commands for a stream are written down here. A command is a function and the
// bytes that it is called with. Lists of the same bytes do the same, so the
// bytes are the key of a graph.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstring>
#include <string>
#include <type_traits>
#include <vector>

#include "kernels/memory/view.h"

namespace subgen::cuda {

// Puts a command on the stream. Returns what went wrong; empty if nothing did.
using PutCommand = std::string (*)(const std::byte* bytes, cudaStream_t stream);

// Values that are equal have equal bytes (a float's two zeros aside).
template <class T>
inline constexpr bool kHasNoPadding =
    std::is_floating_point_v<T> || std::has_unique_object_representations_v<T>;

// Reads a value of a command and goes on to the next.
template <class T>
T TakeValue(const std::byte** bytes) {
  T value;
  std::memcpy(static_cast<void*>(&value), *bytes, sizeof(T));
  *bytes += sizeof(T);
  return value;
}

class CommandList {
 public:
  template <class... Values>
  void Append(PutCommand put, const Values&... values) {
    static_assert((kHasNoPadding<Values> && ...));
    static_assert((std::is_trivially_copyable_v<Values> && ...));
    Write(put);
    Write((sizeof(Values) + ... + size_t{0}));
    (Write(values), ...);
    ++size_;
  }
  void Append(const CommandList& other) {
    bytes_.insert(bytes_.end(), other.bytes_.begin(), other.bytes_.end());
    size_ += other.size_;
  }
  void Clear() {
    bytes_.clear();
    size_ = 0;
  }

  // Puts commands on the stream, up to the first that goes wrong.
  std::string Put(cudaStream_t stream) const {
    for (const std::byte* at = bytes_.data();
         at != bytes_.data() + bytes_.size();) {
      const PutCommand put = TakeValue<PutCommand>(&at);
      const size_t size = TakeValue<size_t>(&at);
      std::string cause = put(at, stream);
      if (!cause.empty()) return cause;
      at += size;
    }
    return "";
  }

  Vector<const std::byte> key() const { return bytes_; }
  int64_t size() const { return size_; }  // commands

 private:
  template <class T>
  void Write(const T& value) {
    const std::byte* const from = reinterpret_cast<const std::byte*>(&value);
    bytes_.insert(bytes_.end(), from, from + sizeof(T));
  }

  std::vector<std::byte> bytes_;
  int64_t size_ = 0;
};

}  // namespace subgen::cuda
