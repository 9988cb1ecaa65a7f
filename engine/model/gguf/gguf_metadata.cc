#include "engine/model/gguf/gguf_metadata.h"

#include <set>
#include <type_traits>

#include "kernels/base/quoted.h"
#include "kernels/base/status_macros.h"

namespace subgen {
namespace {

// These are far above any real model (about 60 keys, 520,000 merges), and low
// enough that what the file makes us keep stays a small multiple of its size.
constexpr uint64_t kMaxKeys = 65536;
constexpr uint64_t kMaxKeyBytes = 65535;
constexpr uint64_t kMaxStringBytes = 16 << 20;
constexpr uint64_t kMaxArrayElements = 1 << 20;
constexpr uint64_t kMaxAllElements = 4 << 20;  // of all arrays together

enum ValueType : uint32_t {
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

class MetadataReader {
 public:
  explicit MetadataReader(GgufCursor& cursor) : cursor_(cursor) {}

  absl::StatusOr<std::string> Key() {
    ASSIGN_OR_RETURN(const auto key, cursor_.Name(kMaxKeyBytes, "key name"));
    what_ = absl::StrCat("key ", Quoted(key));
    return std::string(key);
  }

  absl::StatusOr<GgufFile::Value> Value() {
    ASSIGN_OR_RETURN(const auto type, cursor_.Read<uint32_t>(what_));
    if (type == kBool) return Bool();
    if (type == kString) return cursor_.String(kMaxStringBytes, what_);
    if (type == kArray) return Array();
    return WithNumber(type, [&]<class T>() -> absl::StatusOr<GgufFile::Value> {
      ASSIGN_OR_RETURN(const T value, cursor_.Read<T>(what_));
      if constexpr (std::is_same_v<T, uint64_t>) return value;
      return Widened<T>(value);
    });
  }

  absl::Status Error(absl::string_view message) const {
    return absl::InvalidArgumentError(absl::StrCat(what_, ": ", message));
  }

 private:
  template <class T>
  using Widened =
      std::conditional_t<std::is_floating_point_v<T>, double, int64_t>;

  // Calls read<T>() with the C++ type of a number.
  template <class Read>
  absl::StatusOr<GgufFile::Value> WithNumber(uint32_t type, Read read) {
    switch (type) {
      case kUint8:
        return read.template operator()<uint8_t>();
      case kInt8:
        return read.template operator()<int8_t>();
      case kUint16:
        return read.template operator()<uint16_t>();
      case kInt16:
        return read.template operator()<int16_t>();
      case kUint32:
        return read.template operator()<uint32_t>();
      case kInt32:
        return read.template operator()<int32_t>();
      case kUint64:
        return read.template operator()<uint64_t>();
      case kInt64:
        return read.template operator()<int64_t>();
      case kFloat32:
        return read.template operator()<float>();
      case kFloat64:
        return read.template operator()<double>();
      default:
        return Error(absl::StrCat("value type ", type, ", 0 to 12 are legal"));
    }
  }

  absl::StatusOr<bool> Bool() {
    ASSIGN_OR_RETURN(const auto value, cursor_.Read<uint8_t>(what_));
    if (value > 1) return Error(absl::StrCat("bool ", value, " is not 0 or 1"));
    return value == 1;
  }

  template <class T>
  absl::StatusOr<GgufFile::Value> Numbers(uint64_t count) {
    // The product does not overflow, as the count is capped.
    ASSIGN_OR_RETURN(const auto bytes, cursor_.Bytes(count * sizeof(T), what_));
    std::vector<Widened<T>> values(count);
    for (uint64_t i = 0; i < count; ++i) {
      T value;
      std::memcpy(&value, &bytes[i * sizeof(T)], sizeof(T));
      values[i] = static_cast<Widened<T>>(value);
      if (std::is_same_v<T, uint64_t> && values[i] < 0) {
        return Error(absl::StrCat(value, " does not fit 64 signed bits"));
      }
    }
    return GgufFile::Array(std::move(values));
  }

  template <class T, class Read>
  absl::StatusOr<GgufFile::Value> Elements(uint64_t count, Read read) {
    std::vector<T> values;  // grows with what is really there
    for (uint64_t i = 0; i < count; ++i) {
      ASSIGN_OR_RETURN(const T value, read());
      values.push_back(value);
    }
    return GgufFile::Array(std::move(values));
  }

  absl::StatusOr<GgufFile::Value> Array() {
    ASSIGN_OR_RETURN(const auto type, cursor_.Read<uint32_t>(what_));
    ASSIGN_OR_RETURN(const auto count, cursor_.Read<uint64_t>(what_));
    if (type == kArray) return Error("an array of arrays is not supported");
    if (count > kMaxArrayElements || (elements_ += count) > kMaxAllElements) {
      return Error(absl::StrCat("array of ", count, " elements, at most ",
                                kMaxArrayElements, " are legal, and ",
                                kMaxAllElements, " in all arrays together"));
    }
    if (type == kString) {
      return Elements<absl::string_view>(
          count, [&] { return cursor_.String(kMaxStringBytes, what_); });
    }
    if (type == kBool) {
      return Elements<bool>(count, [&] { return Bool(); });
    }
    return WithNumber(type, [&]<class T>() { return Numbers<T>(count); });
  }

  GgufCursor& cursor_;
  std::string what_;
  uint64_t elements_ = 0;
};

}  // namespace

absl::StatusOr<GgufMetadata> ReadGgufMetadata(GgufCursor& cursor,
                                              uint64_t count) {
  if (count > kMaxKeys) {
    return absl::InvalidArgumentError(absl::StrCat(
        "header: ", count, " metadata keys, at most ", kMaxKeys, " are legal"));
  }
  MetadataReader reader(cursor);
  GgufMetadata metadata;
  std::set<std::string> seen;
  for (uint64_t i = 0; i < count; ++i) {
    ASSIGN_OR_RETURN(std::string key, reader.Key());
    if (!seen.insert(key).second) return reader.Error("stands twice");
    auto value = reader.Value();
    if (!value.ok()) return value.status();
    metadata.emplace_back(std::move(key), *std::move(value));
  }
  return metadata;
}

}  // namespace subgen
