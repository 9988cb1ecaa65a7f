// This is how text without special tokens becomes tokens: byte-level BPE
// (GPT-2) or SentencePiece-style merging by score. It is an inner header of
// engine/text.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "engine/text/tokenizer.h"

namespace subgen {

// These are GGUF's numbers.
enum class TokenType {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6
};

// Returns the type of a token, which must be of the vocabulary. Without types
// in the file, <0xNN> is a byte in a llama vocabulary and all else is normal.
TokenType TypeOf(const Vocabulary& vocabulary, int token);

// Returns texts of the tokens that ordinary text may become (normal, user
// defined). The views live as long as the vocabulary.
absl::flat_hash_map<absl::string_view, int> PlainTokens(
    const Vocabulary& vocabulary);

class SubwordEncoder {
 public:
  virtual ~SubwordEncoder() = default;
  // Appends the ids of `text`, valid UTF-8 and at most kMaxTextBytes long,
  // which begins a prompt or follows a special token.
  virtual absl::Status Encode(absl::string_view text,
                              std::vector<int>* ids) const = 0;
  // Returns the bytes that a normal or byte token stands for.
  virtual std::string Decode(int token) const = 0;
};

inline constexpr size_t kMaxTextBytes = size_t{1} << 28;

// The encoders keep a reference to the vocabulary.
absl::StatusOr<std::unique_ptr<SubwordEncoder>> MakeByteBpe(
    const Vocabulary& vocabulary);
absl::StatusOr<std::unique_ptr<SubwordEncoder>> MakeSentencePiece(
    const Vocabulary& vocabulary);

}  // namespace subgen
