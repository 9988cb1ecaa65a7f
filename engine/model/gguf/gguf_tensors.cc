#include "engine/model/gguf/gguf_tensors.h"

#include <algorithm>
#include <numeric>
#include <set>
#include <utility>

#include "kernels/base/quoted.h"
#include "kernels/base/status_macros.h"

namespace subgen {
namespace {

constexpr uint64_t kMaxTensors = 262144;
constexpr uint64_t kMaxNameBytes = 64;  // of the specification
constexpr uint32_t kMaxDimensions = 4;

// This is an entry, with where its data begins and how long it is.
struct Entry {
  ModelTensor tensor;
  std::string what;  // for errors
  uint64_t offset = 0;
  uint64_t bytes = 0;

  absl::Status Error(absl::string_view message) const {
    return absl::InvalidArgumentError(absl::StrCat(what, ": ", message));
  }
};

absl::Status ReadShape(GgufCursor& cursor, Entry& entry) {
  ASSIGN_OR_RETURN(const auto dimensions, cursor.Read<uint32_t>(entry.what));
  if (dimensions < 1 || dimensions > kMaxDimensions) {
    return entry.Error(absl::StrCat(dimensions, " dimensions, 1 to ",
                                    kMaxDimensions, " are legal"));
  }
  for (uint32_t i = 0; i < dimensions; ++i) {
    ASSIGN_OR_RETURN(const auto dimension, cursor.Read<int64_t>(entry.what));
    if (dimension < 1) {
      return entry.Error(
          absl::StrCat("dimension ", i, " is ", dimension, ", at least 1"));
    }
    entry.tensor.shape.push_back(dimension);
  }
  return absl::OkStatus();
}

absl::Status ReadFormat(GgufCursor& cursor, Entry& entry) {
  ASSIGN_OR_RETURN(const auto type, cursor.Read<uint32_t>(entry.what));
  const auto format = BlockFormatFromGguf(type);
  if (!format) {
    return entry.Error(absl::StrCat("tensor type ", type, " is not supported; ",
                                    BlockFormatNames(), " are"));
  }
  entry.tensor.format = *format;
  return absl::OkStatus();
}

// Sets the bytes of the tensor, from its shape and format.
absl::Status SetBytes(Entry& entry) {
  const ModelTensor& tensor = entry.tensor;
  const int64_t size = BlockSize(tensor.format);
  if (tensor.shape[0] % size != 0) {
    return entry.Error(
        absl::StrCat("rows of ", tensor.shape[0], " numbers, a multiple of ",
                     size, " is legal for ", BlockFormatName(tensor.format)));
  }
  uint64_t bytes = tensor.shape[0] / size;
  bool overflow =
      __builtin_mul_overflow(bytes, BlockBytes(tensor.format), &bytes);
  for (size_t i = 1; i < tensor.shape.size(); ++i) {
    overflow |= __builtin_mul_overflow(bytes, tensor.shape[i], &bytes);
  }
  if (overflow) return entry.Error("its dimensions multiply to over 64 bits");
  entry.bytes = bytes;
  return absl::OkStatus();
}

absl::StatusOr<Entry> ReadEntry(GgufCursor& cursor, uint64_t alignment) {
  Entry entry;
  ASSIGN_OR_RETURN(const auto name, cursor.Name(kMaxNameBytes, "tensor name"));
  entry.tensor.name = std::string(name);
  entry.what = absl::StrCat("tensor ", Quoted(name));
  RETURN_IF_ERROR(ReadShape(cursor, entry));
  RETURN_IF_ERROR(ReadFormat(cursor, entry));
  RETURN_IF_ERROR(SetBytes(entry));
  ASSIGN_OR_RETURN(entry.offset, cursor.Read<uint64_t>(entry.what));
  if (entry.offset % alignment != 0) {
    return entry.Error(absl::StrCat("offset ", entry.offset,
                                    " is no multiple of the alignment ",
                                    alignment));
  }
  return entry;
}

absl::Status CheckOverlap(const std::vector<Entry>& entries) {
  std::vector<size_t> order(entries.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return entries[a].offset < entries[b].offset;
  });
  for (size_t i = 1; i < order.size(); ++i) {
    const Entry &before = entries[order[i - 1]], &entry = entries[order[i]];
    if (entry.offset - before.offset < before.bytes) {
      return entry.Error(absl::StrCat("its data at offset ", entry.offset,
                                      " overlaps that of ",
                                      Quoted(before.tensor.name)));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<ModelTensor>> ReadGgufTensors(
    GgufCursor& cursor, uint64_t count, uint64_t alignment,
    Vector<const std::byte> file) {
  if (count > kMaxTensors) {
    return absl::InvalidArgumentError(absl::StrCat(
        "header: ", count, " tensors, at most ", kMaxTensors, " are legal"));
  }
  std::vector<Entry> entries;
  std::set<std::string> seen;
  for (uint64_t i = 0; i < count; ++i) {
    ASSIGN_OR_RETURN(Entry entry, ReadEntry(cursor, alignment));
    if (!seen.insert(entry.tensor.name).second) {
      return entry.Error("stands twice");
    }
    entries.push_back(std::move(entry));
  }

  // A file without tensors may end before the padding.
  const uint64_t begin = std::min<uint64_t>(
      (cursor.offset() + alignment - 1) / alignment * alignment, file.size());
  const auto data = file.subspan(begin);
  std::vector<ModelTensor> tensors;
  for (Entry& entry : entries) {
    if (entry.offset > data.size() ||
        entry.bytes > data.size() - entry.offset) {
      return entry.Error(absl::StrCat(
          entry.bytes, " bytes at offset ", entry.offset, " of ", data.size(),
          " bytes of tensor data in the file, which "
          "may be cut short"));
    }
    entry.tensor.data = data.subspan(entry.offset, entry.bytes);
  }
  RETURN_IF_ERROR(CheckOverlap(entries));
  for (Entry& entry : entries) tensors.push_back(std::move(entry.tensor));
  return tensors;
}

}  // namespace subgen
