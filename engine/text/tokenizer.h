// A tokenizer turns text to tokens and back, with the vocabulary of the model
// file.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace subgen {

// This is the vocabulary as the file gives it;
// engine/model/gguf/gguf_vocabulary.h fills it from GGUF (tokenizer.ggml.*),
// tests fill it by hand.
struct Vocabulary {
  std::string model;  // gpt2 (byte-level BPE) or llama (SentencePiece-style)
  std::string pre;    // smollm, gpt-2, llama-bpe, qwen2; for gpt2 only
  std::vector<std::string> tokens;
  std::vector<int> types;     // GGUF: 1 normal, 2 unknown, 3 control, 4 user
                              // defined, 5 unused, 6 byte; may be empty
  std::vector<float> scores;  // for llama
  std::vector<std::string> merges;  // for gpt2
  int bos = -1, eos = -1, end_of_turn = -1, unknown = -1;
  bool add_bos = false, add_eos = false, add_space_prefix = true;
  std::string chat_template;  // Jinja text, may be empty
};

// This is a piece of a rendered prompt. Only special pieces may contain control
// tokens; what a user typed is encoded as plain text.
struct PromptPiece {
  std::string text;
  bool special = false;
};

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  // Returns the ids of the pieces read as one text: words may span pieces,
  // control tokens only special ones. Invalid UTF-8 is an InvalidArgumentError
  // with its offset. No BOS is added here. A byte that the vocabulary has no
  // token for is left out (gpt2) or unknown (llama), as in llama.cpp.
  virtual absl::StatusOr<std::vector<int>> EncodePrompt(
      const std::vector<PromptPiece>& pieces) const = 0;
  // Does the same for one text. If `special`, control tokens written in the
  // text are recognized; otherwise they are ordinary text.
  absl::StatusOr<std::vector<int>> Encode(absl::string_view text,
                                          bool special) const;

  // Returns the bytes of one token, which may be part of a UTF-8 character.
  // Control and unknown tokens give none unless `special`; unused ones and ids
  // that are not of the vocabulary give none.
  virtual std::string Decode(int token, bool special) const = 0;

  virtual int size() const = 0;
  virtual const Vocabulary& vocabulary() const = 0;
  // Tells whether a token ends an answer: eos, end of turn, and control tokens
  // known to do so in their family (<|im_end|>, <|eot_id|>, ...).
  virtual bool EndsGeneration(int token) const = 0;
};

// Returns an InvalidArgumentError that lists the legal names unless
// MakeTokenizer knows Vocabulary::model and, for gpt2, Vocabulary::pre.
absl::Status CheckTokenizerKind(absl::string_view model, absl::string_view pre);

// Makes the tokenizer. It refuses an unknown model or pre-tokenizer by name,
// ids out of range, duplicate tokens, merges that are not of the vocabulary.
absl::StatusOr<std::unique_ptr<Tokenizer>> MakeTokenizer(Vocabulary vocabulary);

// This joins decoded bytes into text and never gives out half a UTF-8
// character.
class Utf8Stream {
 public:
  // Returns the whole characters that are complete now; a byte that can never
  // become valid comes out as U+FFFD.
  std::string Push(absl::string_view bytes);
  // Returns what is left at the end, as U+FFFD if incomplete.
  std::string Finish();

 private:
  std::string pending_;
};

}  // namespace subgen
