// Format: GGUF specification (ggml, docs/gguf.md).
//   header | metadata | tensor table | padding | tensor data
// Rules for a hostile file:
// - every length and count has a cap, and is held against the bytes that remain
//   (gguf_cursor.h) before memory is taken or anything is multiplied;
// - products are checked for overflow; duplicates are found by sorted names (no
//   hash that a file could make collide), so time and memory grow with the size
//   of the file and no faster;
// - what is not understood is refused: versions, value and tensor types;
// - text is valid UTF-8, names have no control characters.
#include "engine/model/gguf/gguf_file.h"

#include <limits>
#include <map>
#include <optional>
#include <utility>

#include "engine/model/gguf/gguf_cursor.h"
#include "engine/model/gguf/gguf_metadata.h"
#include "engine/model/gguf/gguf_tensors.h"
#include "kernels/base/quoted.h"
#include "kernels/base/status_macros.h"

namespace subgen {
namespace {

constexpr int64_t kDefaultAlignment = 32;

struct Counts {
  uint64_t tensors = 0;
  uint64_t keys = 0;
};

absl::StatusOr<Counts> ReadHeader(GgufCursor& cursor) {
  const auto magic = cursor.Bytes(4, "magic number");
  if (!magic.ok() || std::memcmp(magic->data(), "GGUF", 4) != 0) {
    return absl::InvalidArgumentError(
        "not a GGUF file: it does not begin with 'GGUF' (models in "
        "other formats must be converted)");
  }
  ASSIGN_OR_RETURN(const auto version, cursor.Read<uint32_t>("version"));
  if (version != 2 && version != 3) {
    return absl::InvalidArgumentError(absl::StrCat(
        "GGUF version ", version, ", 2 and 3 are legal",
        version != 0 && version % 65536 == 0 ? " (a big-endian file?)" : ""));
  }
  Counts counts;
  ASSIGN_OR_RETURN(counts.tensors, cursor.Read<uint64_t>("tensor count"));
  ASSIGN_OR_RETURN(counts.keys, cursor.Read<uint64_t>("key count"));
  return counts;
}

// The alignment is a power of two from 8 to 65536.
absl::StatusOr<uint64_t> ReadAlignment(const GgufFile& file) {
  const absl::string_view key = "general.alignment";
  if (!file.Has(key)) return kDefaultAlignment;
  ASSIGN_OR_RETURN(const int64_t value, file.Integer(key));
  if (value < 8 || value > 65536 || (value & (value - 1)) != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(file.path(), ": general.alignment is ", value,
                     ", a power of two from 8 to 65536 is legal"));
  }
  return value;
}

constexpr absl::string_view kTypeNames[] = {
    "an integer", "an integer", "a number", "a bool", "a string", "an array"};
constexpr absl::string_view kArrayNames[] = {
    "an array of integers", "an array of numbers", "an array of bools",
    "an array of strings"};

absl::string_view TypeName(const GgufFile::Value& value) {
  const auto* array = std::get_if<GgufFile::Array>(&value);
  return array ? kArrayNames[array->index()] : kTypeNames[value.index()];
}

}  // namespace

struct GgufFile::Contents {
  std::string path;
  std::optional<MappedFile> file;
  GgufMetadata metadata;
  std::vector<ModelTensor> tensors;
  std::map<absl::string_view, const Value*> values;  // of metadata
  std::map<absl::string_view, const ModelTensor*> by_name;

  absl::Status Parse(const GgufFile& self);

  absl::Status InFile(const absl::Status& status) const {
    return absl::Status(status.code(),
                        absl::StrCat(path, ": ", status.message()));
  }

  absl::StatusOr<const Value*> Find(absl::string_view key) const {
    const auto found = values.find(key);
    if (found != values.end()) return found->second;
    return absl::NotFoundError(
        absl::StrCat(path, ": metadata key ", Quoted(key), " is missing"));
  }

  absl::Status WrongType(absl::string_view key,
                         absl::string_view wanted) const {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": metadata key ", Quoted(key), " is ",
                     TypeName(*values.at(key)), ", not ", wanted));
  }

  template <class T>
  absl::StatusOr<T> Scalar(absl::string_view key,
                           absl::string_view wanted) const {
    ASSIGN_OR_RETURN(const Value* value, Find(key));
    if (const T* scalar = std::get_if<T>(value)) return *scalar;
    return WrongType(key, wanted);
  }

  template <class T>
  absl::StatusOr<const std::vector<T>*> ArrayOf(
      absl::string_view key, absl::string_view wanted) const {
    ASSIGN_OR_RETURN(const Value* value, Find(key));
    const auto* array = std::get_if<Array>(value);
    const auto* elements = array ? std::get_if<std::vector<T>>(array) : nullptr;
    if (elements != nullptr) return elements;
    return WrongType(key, wanted);
  }
};

absl::Status GgufFile::Contents::Parse(const GgufFile& self) {
  ASSIGN_OR_RETURN(file, MappedFile::Open(path));
  GgufCursor cursor(file->bytes());
  auto counts = ReadHeader(cursor);
  if (!counts.ok()) return InFile(counts.status());
  auto keys = ReadGgufMetadata(cursor, counts->keys);
  if (!keys.ok()) return InFile(keys.status());
  metadata = *std::move(keys);
  for (const auto& [key, value] : metadata) values[key] = &value;

  ASSIGN_OR_RETURN(const uint64_t alignment, ReadAlignment(self));
  auto table =
      ReadGgufTensors(cursor, counts->tensors, alignment, file->bytes());
  if (!table.ok()) return InFile(table.status());
  tensors = *std::move(table);
  for (const ModelTensor& tensor : tensors) by_name[tensor.name] = &tensor;
  // This is the one key that the specification requires of every file.
  return self.String("general.architecture").status();
}

absl::StatusOr<std::unique_ptr<GgufFile>> GgufFile::Open(
    const std::string& path) {
  std::unique_ptr<GgufFile> file(new GgufFile);
  file->contents_ = std::make_unique<Contents>();
  file->contents_->path = path;
  RETURN_IF_ERROR(file->contents_->Parse(*file));
  return file;
}

GgufFile::~GgufFile() = default;

const std::string& GgufFile::path() const { return contents_->path; }

const std::vector<std::pair<std::string, GgufFile::Value>>& GgufFile::metadata()
    const {
  return contents_->metadata;
}

const std::vector<ModelTensor>& GgufFile::tensors() const {
  return contents_->tensors;
}

int64_t GgufFile::file_bytes() const { return contents_->file->bytes().size(); }
MappedFile GgufFile::TakeMapping() && { return *std::move(contents_->file); }

bool GgufFile::Has(absl::string_view key) const {
  return contents_->values.count(key) > 0;
}

absl::StatusOr<int64_t> GgufFile::Integer(absl::string_view key) const {
  ASSIGN_OR_RETURN(const Value* value, contents_->Find(key));
  if (const auto* number = std::get_if<int64_t>(value)) return *number;
  const auto* number = std::get_if<uint64_t>(value);
  if (number == nullptr) return contents_->WrongType(key, "an integer");
  if (*number <= std::numeric_limits<int64_t>::max()) return *number;
  return absl::InvalidArgumentError(
      absl::StrCat(path(), ": metadata key ", Quoted(key), ": ", *number,
                   " does not fit 64 signed bits"));
}

absl::StatusOr<double> GgufFile::Number(absl::string_view key) const {
  ASSIGN_OR_RETURN(const Value* value, contents_->Find(key));
  if (const auto* number = std::get_if<double>(value)) return *number;
  if (const auto* number = std::get_if<int64_t>(value)) return *number;
  if (const auto* number = std::get_if<uint64_t>(value)) return *number;
  return contents_->WrongType(key, "a number");
}

absl::StatusOr<bool> GgufFile::Bool(absl::string_view key) const {
  return contents_->Scalar<bool>(key, "a bool");
}

absl::StatusOr<absl::string_view> GgufFile::String(
    absl::string_view key) const {
  return contents_->Scalar<absl::string_view>(key, "a string");
}

absl::StatusOr<const std::vector<absl::string_view>*> GgufFile::Strings(
    absl::string_view key) const {
  return contents_->ArrayOf<absl::string_view>(key, "an array of strings");
}

absl::StatusOr<const std::vector<int64_t>*> GgufFile::Integers(
    absl::string_view key) const {
  return contents_->ArrayOf<int64_t>(key, "an array of integers");
}

absl::StatusOr<const std::vector<double>*> GgufFile::Numbers(
    absl::string_view key) const {
  return contents_->ArrayOf<double>(key, "an array of numbers");
}

const ModelTensor* GgufFile::FindTensor(absl::string_view name) const {
  const auto found = contents_->by_name.find(name);
  return found == contents_->by_name.end() ? nullptr : found->second;
}

}  // namespace subgen
