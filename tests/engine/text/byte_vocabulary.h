// This is a small byte-level vocabulary for tests.
#pragma once

#include <string>
#include <vector>

#include "engine/text/tokenizer.h"
#include "kernels/base/utf8.h"

namespace subgen {

// Returns GPT-2's character for a byte, by its published definition: the
// printable bytes of Latin-1 stand for themselves, the n-th of the others for
// 256 + n.
inline std::string ByteCharacter(int byte) {
  const auto printable = [](int b) {
    return (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
  };
  char32_t others = 0;
  for (int b = 0; b < byte; ++b) others += !printable(b);
  std::string character;
  AppendUtf8(printable(byte) ? byte : 256 + others, &character);
  return character;
}

// Token i < 256 is byte i; then come what the merges make, in order, a control
// token <|im_end|> and a user-defined <tool>.
inline Vocabulary ByteVocabulary(const std::vector<std::string>& merges) {
  Vocabulary vocabulary;
  vocabulary.model = "gpt2";
  vocabulary.pre = "gpt-2";
  vocabulary.merges = merges;
  for (int byte = 0; byte < 256; ++byte) {
    vocabulary.tokens.push_back(ByteCharacter(byte));
  }
  for (const std::string& merge : merges) {
    const size_t space = merge.find(' ');
    vocabulary.tokens.push_back(merge.substr(0, space) +
                                merge.substr(space + 1));
  }
  vocabulary.types.assign(vocabulary.tokens.size(), 1);
  vocabulary.tokens.push_back("<|im_end|>");
  vocabulary.types.push_back(3);
  vocabulary.tokens.push_back("<tool>");
  vocabulary.types.push_back(4);
  return vocabulary;
}

}  // namespace subgen
