// This reads the vocabulary of a GGUF file.
#pragma once

#include "absl/status/statusor.h"
#include "engine/model/gguf/gguf_file.h"
#include "engine/text/tokenizer.h"

namespace subgen {

// Reads tokenizer.ggml.* and tokenizer.chat_template (GGUF specification,
// "Tokenizer"). What may be absent has llama.cpp's default: in a llama
// vocabulary BOS is 1, EOS 2, unknown 0, and BOS is added. InvalidArgumentError
// names file and key: it is for an unknown tokenizer or pre-tokenizer, a wrong
// type, an id that is no token. MakeTokenizer checks the rest.
absl::StatusOr<Vocabulary> ReadGgufVocabulary(const GgufFile& file);

}  // namespace subgen
