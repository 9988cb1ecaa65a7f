#include "engine/model/gguf/gguf_cursor.h"

#include <algorithm>

#include "kernels/base/quoted.h"
#include "kernels/base/status_macros.h"
#include "kernels/base/utf8.h"

namespace subgen {

absl::StatusOr<Vector<const std::byte>> GgufCursor::Bytes(
    uint64_t count, absl::string_view what) {
  if (count > remaining()) {
    return absl::InvalidArgumentError(absl::StrCat(
        what, ": needs ", count, " bytes at offset ", offset_,
        ", but the file ends ", remaining(), " bytes later: it is cut short"));
  }
  const auto bytes = file_.subspan(offset_, count);
  offset_ += count;
  return bytes;
}

absl::StatusOr<absl::string_view> GgufCursor::String(uint64_t cap,
                                                     absl::string_view what) {
  ASSIGN_OR_RETURN(const uint64_t length, Read<uint64_t>(what));
  if (length > cap) {
    return absl::InvalidArgumentError(absl::StrCat(
        what, ": length ", length, ", at most ", cap, " bytes are legal"));
  }
  ASSIGN_OR_RETURN(const auto bytes, Bytes(length, what));
  const absl::string_view text(reinterpret_cast<const char*>(bytes.data()),
                               bytes.size());
  if (ValidUtf8Prefix(text) < text.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat(what, ": ", Quoted(text), " is not valid UTF-8"));
  }
  return text;
}

absl::StatusOr<absl::string_view> GgufCursor::Name(uint64_t cap,
                                                   absl::string_view what) {
  ASSIGN_OR_RETURN(const absl::string_view name, String(cap, what));
  if (name.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(what, ": empty"));
  }
  const auto is_control = [](uint8_t c) { return c < 0x20 || c == 0x7f; };
  if (std::any_of(name.begin(), name.end(), is_control)) {
    return absl::InvalidArgumentError(absl::StrCat(
        what, ": ", Quoted(name), " contains a control character"));
  }
  return name;
}

}  // namespace subgen
