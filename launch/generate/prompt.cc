#include "launch/generate/prompt.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "engine/config/read_file.h"
#include "kernels/base/status_macros.h"
#include "kernels/base/utf8.h"

namespace subgen {

absl::StatusOr<std::string> ReadPrompt(const std::string& text,
                                       const std::string& file) {
  std::string prompt = text;
  if (!file.empty()) {
    auto read =
        ReadWholeFile(file == "-" ? "/dev/stdin" : file, kMostPromptBytes);
    if (!read.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("prompt file ", read.status().message()));
    }
    absl::string_view rest = *read;
    absl::ConsumePrefix(&rest, "\xef\xbb\xbf");
    prompt = std::string(rest);
  }
  if (prompt.empty()) {
    return absl::InvalidArgumentError(
        "the prompt is empty: give text by --prompt, --prompt_file or on "
        "standard input");
  }
  const size_t valid = ValidUtf8Prefix(prompt);
  if (valid < prompt.size()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the prompt is not UTF-8 at byte ", valid, " of ", prompt.size()));
  }
  return prompt;
}

}  // namespace subgen
