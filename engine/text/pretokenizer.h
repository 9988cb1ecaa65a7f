// This cuts text into the words that byte-level BPE merges within, by the
// regular expressions of the model's family.
#pragma once

#include <unicode/regex.h>

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace subgen {

class PreTokenizer {
 public:
  // `name` is smollm, gpt-2, llama-bpe or qwen2.
  static absl::StatusOr<PreTokenizer> Make(absl::string_view name);

  // Returns the words of valid UTF-8 in order, none empty, nothing left out. A
  // text that exceeds the time or stack limit is an InvalidArgumentError.
  absl::StatusOr<std::vector<absl::string_view>> Split(
      absl::string_view text) const;

 private:
  // Each expression cuts the pieces that the one before has left.
  std::vector<std::unique_ptr<icu::RegexPattern>> stages_;
};

}  // namespace subgen
