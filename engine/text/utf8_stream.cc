#include "engine/text/tokenizer.h"
#include "kernels/base/utf8.h"

namespace subgen {

std::string Utf8Stream::Push(absl::string_view bytes) {
  pending_.append(bytes.data(), bytes.size());
  std::string text;
  absl::string_view rest = pending_;
  while (!rest.empty()) {
    const Utf8Character first = FirstUtf8Character(rest);
    // The next token may bring the rest of this character.
    if (first.kind == Utf8Character::Kind::kIncomplete) break;
    // Bytes that can never become a character would hold up all text behind
    // them, so they are replaced at once.
    absl::string_view out = first.kind == Utf8Character::Kind::kComplete
                                ? rest.substr(0, first.bytes)
                                : kReplacementCharacter;
    text.append(out.data(), out.size());
    rest.remove_prefix(first.bytes);
  }
  pending_ = std::string(rest);
  return text;
}

std::string Utf8Stream::Finish() {
  const bool incomplete = !pending_.empty();
  pending_.clear();
  return std::string(incomplete ? kReplacementCharacter : "");
}

}  // namespace subgen
