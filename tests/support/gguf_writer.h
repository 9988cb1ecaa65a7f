// This builds GGUF files for tests: valid ones by default, hostile ones through
// SetRaw and by changing the bytes afterwards.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "absl/strings/string_view.h"
#include "kernels/quant/block_format.h"

namespace subgen {

// These are type numbers of metadata values (GGUF specification, "File
// Structure").
enum class GgufValueType : uint32_t {
  kUint8 = 0,
  kInt8 = 1,
  kUint16 = 2,
  kInt16 = 3,
  kUint32 = 4,
  kInt32 = 5,
  kFloat32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kUint64 = 10,
  kInt64 = 11,
  kFloat64 = 12,
};

// Returns the little-endian bytes of a number, or a string with its length in
// front.
template <class T>
std::string GgufBytes(T value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof(value));
}
std::string GgufString(absl::string_view text);

template <class T>
constexpr GgufValueType GgufTypeOf() {
  using enum GgufValueType;
  if constexpr (std::is_same_v<T, bool>) return kBool;
  if constexpr (std::is_same_v<T, float>) return kFloat32;
  if constexpr (std::is_same_v<T, double>) return kFloat64;
  constexpr GgufValueType by_size[2][4] = {{kUint8, kUint16, kUint32, kUint64},
                                           {kInt8, kInt16, kInt32, kInt64}};
  constexpr int log_size = sizeof(T) == 8 ? 3 : sizeof(T) / 2;
  return by_size[std::is_signed_v<T>][log_size];
}

class GgufWriter {
 public:
  uint32_t version = 3;
  uint32_t alignment = 32;  // written as general.alignment unless 32

  // The GGUF type follows from the C++ type: Set("k", 3) is an INT32. A key
  // that is set again keeps its place. Bool arrays are set by Set(key,
  // vector<bool>).
  template <class T>
  requires std::is_arithmetic_v<T>
  void Set(absl::string_view key, T value) {
    SetRaw(key, GgufTypeOf<T>(), GgufBytes(value));
  }
  template <class T>
  requires std::is_arithmetic_v<T>
  void Set(absl::string_view key, const std::vector<T>& values) {
    std::string bytes;
    for (T value : values) bytes += GgufBytes<T>(value);
    SetArray(key, GgufTypeOf<T>(), values.size(), bytes);
  }
  void Set(absl::string_view key, absl::string_view value);
  void Set(absl::string_view key, const std::vector<std::string>& values);
  void SetArray(absl::string_view key, GgufValueType type, uint64_t count,
                const std::string& bytes);
  void SetRaw(absl::string_view key, GgufValueType type, std::string bytes);
  void Remove(absl::string_view key);

  // `shape` is fastest first, [cols, rows]. A name that is added again replaces
  // the earlier tensor. Bytes are not checked against the shape.
  void AddTensor(absl::string_view name, BlockFormat format,
                 std::vector<int64_t> shape, std::vector<std::byte> bytes);
  // Adds a tensor of pseudo-random content, by RandomBlocks and a seed from the
  // name.
  void AddRandomTensor(absl::string_view name, BlockFormat format,
                       std::vector<int64_t> shape);
  void AddFloats(absl::string_view name, const std::vector<float>& values);
  void RemoveTensor(absl::string_view name);

  std::string Bytes() const;  // the whole file
  void Write(const std::string& path) const;

 private:
  struct Key {
    std::string name;
    GgufValueType type;
    std::string bytes;
  };
  struct Tensor {
    std::string name;
    BlockFormat format;
    std::vector<int64_t> shape;
    std::vector<std::byte> bytes;
  };
  std::vector<Key> keys_;
  std::vector<Tensor> tensors_;
};

void WriteBytes(const std::string& path, absl::string_view bytes);

// Returns `count` numbers, a multiple of the block size, finite, of mean about
// 0 and standard deviation about 0.05.
std::vector<std::byte> RandomBlocks(BlockFormat format, int64_t count,
                                    uint64_t seed);

}  // namespace subgen
