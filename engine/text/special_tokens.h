// This finds control and user-defined tokens that are written out in a text.
#pragma once

#include <array>
#include <map>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "engine/text/tokenizer.h"

namespace subgen {

class SpecialTokens {
 public:
  struct Match {
    size_t begin = 0, end = 0;
    int token = -1;
  };

  // The constructor keeps views into the vocabulary.
  explicit SpecialTokens(const Vocabulary& vocabulary);

  // Returns matches in order, none overlapping: the longest token of the whole
  // text first, then the leftmost. Control and unknown tokens match only where
  // control_allowed[i] holds for all their bytes; user-defined ones match
  // anywhere.
  std::vector<Match> Find(absl::string_view text,
                          const std::vector<bool>& control_allowed) const;

 private:
  struct Token {
    int id = -1;
    bool control = false;  // or unknown
  };
  using Texts = absl::flat_hash_map<absl::string_view, Token>;

  std::map<size_t, Texts, std::greater<>> by_length_;
  std::array<bool, 256> begins_ = {};  // the bytes that a token begins with
};

}  // namespace subgen
