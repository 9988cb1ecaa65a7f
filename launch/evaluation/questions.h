// Retrieval questions are prompts with one right number.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "engine/text/tokenizer.h"
#include "launch/evaluation/texts.h"

namespace subgen {

struct Passkey {
  std::string fact;    // to be hidden in prose
  std::string ending;  // the model goes on with the number
  std::string number;  // five digits
};

// The prompt is a plain completion, as small models fail through a chat
// template.
Passkey DrawPasskey(Draw draw);

// Makes a prompt of `length` tokens: BOS if the vocabulary adds it, prose with
// the fact `depth` (0 to 1) of the way in, then the ending. Prose gives way.
absl::StatusOr<std::vector<int>> PasskeyPrompt(const Passkey& passkey,
                                               std::vector<int> prose,
                                               double depth, int64_t length,
                                               const Tokenizer& tokenizer);

// Returns whether the completion starts with the number and then ends it.
bool StartsWithNumber(absl::string_view completion, absl::string_view number);

struct LinesQuestion {
  std::string prompt;  // a user's message
  int number = 0;
};

// Makes a line retrieval in the format of LongEval (lmsys.org, 2023-06-29), of
// at most kMostLines lines.
constexpr int64_t kMostLines = 4096;
LinesQuestion DrawLines(int64_t lines, Draw draw);

// Applies LongEval's rule: the last number of the answer is the right one.
bool EndsWithNumber(absl::string_view answer, int number);

}  // namespace subgen
