#include "kernels/base/utf8.h"

namespace subgen {
namespace {

using Kind = Utf8Character::Kind;

// Returns the number of bytes of the character that `lead` begins; 0 if no
// character begins so.
size_t CharacterBytes(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead < 0xC2) return 0;
  if (lead < 0xE0) return 2;
  if (lead < 0xF0) return 3;
  return lead < 0xF5 ? 4 : 0;
}

// The second byte has a narrower range after four lead bytes.
bool IsSecondByte(unsigned char lead, unsigned char byte) {
  const unsigned char low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const unsigned char high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  return low <= byte && byte <= high;
}

}  // namespace

Utf8Character FirstUtf8Character(absl::string_view text) {
  const unsigned char lead = text[0];
  const size_t bytes = CharacterBytes(lead);
  if (bytes == 0) return {Kind::kInvalid, 1};
  for (size_t i = 1; i < bytes; ++i) {
    if (i == text.size()) return {Kind::kIncomplete, i};
    const unsigned char byte = text[i];
    const bool valid =
        i == 1 ? IsSecondByte(lead, byte) : (byte & 0xC0) == 0x80;
    if (!valid) return {Kind::kInvalid, i};
  }
  return {Kind::kComplete, bytes};
}

char32_t DecodeUtf8(absl::string_view character) {
  const unsigned char lead = character[0];
  if (character.size() == 1) return lead;
  char32_t code_point = lead & (0x7F >> character.size());
  for (char byte : character.substr(1)) {
    code_point = code_point << 6 | (byte & 0x3F);
  }
  return code_point;
}

size_t ValidUtf8Prefix(absl::string_view text) {
  size_t offset = 0;
  while (offset < text.size()) {
    const Utf8Character first = FirstUtf8Character(text.substr(offset));
    if (first.kind != Kind::kComplete) break;
    offset += first.bytes;
  }
  return offset;
}

void AppendUtf8(char32_t code_point, std::string* text) {
  if (code_point < 0x80) {
    text->push_back(static_cast<char>(code_point));
    return;
  }
  const int rest = code_point < 0x800 ? 1 : code_point < 0x10000 ? 2 : 3;
  const char32_t marks[] = {0, 0xC0, 0xE0, 0xF0};
  text->push_back(static_cast<char>(marks[rest] | code_point >> (6 * rest)));
  for (int i = rest - 1; i >= 0; --i) {
    text->push_back(static_cast<char>(0x80 | (code_point >> (6 * i) & 0x3F)));
  }
}

}  // namespace subgen
