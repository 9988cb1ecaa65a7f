#include "engine/text/pretokenizer.h"

#include <unicode/unistr.h>

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "kernels/base/quoted.h"
#include "kernels/base/status_macros.h"

namespace subgen {
namespace {

// A search may take so long, in ICU's units of roughly a millisecond: a hostile
// text must not hold up the engine.
constexpr int32_t kTimeLimit = 10'000;
constexpr int32_t kStackBytes = 8 << 20;

// This is GPT-2's expression (Radford et al. 2019, encoder.py). White_Space is
// spelled out because ICU's \s leaves out U+000B and U+0085.
constexpr char kGpt2[] =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+)"
    R"(| ?[^\p{White_Space}\p{L}\p{N}]+)"
    R"(|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+)";

constexpr char kDigit[] = R"(\p{N})";

// Llama 3 and Qwen2 differ in how many digits make a word. It says [sS] and not
// (?i:), which would also take U+017F for s.
constexpr char kLlama3Begin[] =
    R"('[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
    R"(|[^\r\n\p{L}\p{N}]?\p{L}+|)";
constexpr char kLlama3End[] =
    R"(| ?[^\p{White_Space}\p{L}\p{N}]+[\r\n]*|\p{White_Space}*[\r\n]+)"
    R"(|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+)";

absl::StatusOr<std::vector<std::string>> PatternsOf(absl::string_view name) {
  if (name == "smollm") return std::vector<std::string>{kDigit, kGpt2};
  if (name == "gpt-2") return std::vector<std::string>{kGpt2};
  if (name == "llama-bpe") {
    return std::vector<std::string>{
        absl::StrCat(kLlama3Begin, R"(\p{N}{1,3})", kLlama3End)};
  }
  if (name == "qwen2") {
    return std::vector<std::string>{
        absl::StrCat(kLlama3Begin, kDigit, kLlama3End)};
  }
  return absl::InvalidArgumentError(
      absl::StrCat("pre-tokenizer ", Quoted(name),
                   " is not supported; smollm, gpt-2, llama-bpe and qwen2 "
                   "are"));
}

struct Range {  // of UTF-16 units
  int32_t begin, end;
};

absl::Status RegexStatus(UErrorCode code) {
  if (U_SUCCESS(code)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("cannot split the text into words: ", u_errorName(code)));
}

// Appends the matches inside `whole` and what lies between them.
absl::Status SplitRange(Range whole, icu::RegexMatcher* matcher,
                        std::vector<Range>* pieces) {
  UErrorCode code = U_ZERO_ERROR;
  // The region is that of one piece: a match must not reach over a cut that an
  // earlier expression has made.
  matcher->region(whole.begin, whole.end, code);
  int32_t done = whole.begin;
  while (matcher->find(code)) {
    const Range match = {matcher->start(code), matcher->end(code)};
    if (match.begin > done) pieces->push_back({done, match.begin});
    if (match.end > match.begin) pieces->push_back(match);
    done = match.end;
  }
  // What no expression matches is a word, too: nothing of the text is left out.
  if (done < whole.end) pieces->push_back({done, whole.end});
  return RegexStatus(code);
}

// Returns the bytes of UTF-8 that one unit of UTF-16 stands for; half of a pair
// has 2.
size_t Utf8Bytes(char16_t unit) {
  if (unit < 0x80) return 1;
  return unit < 0x800 || U16_IS_SURROGATE(unit) ? 2 : 3;
}

}  // namespace

absl::StatusOr<PreTokenizer> PreTokenizer::Make(absl::string_view name) {
  ASSIGN_OR_RETURN(std::vector<std::string> patterns, PatternsOf(name));
  PreTokenizer result;
  for (const std::string& pattern : patterns) {
    UErrorCode code = U_ZERO_ERROR;
    UParseError where;
    result.stages_.emplace_back(icu::RegexPattern::compile(
        icu::UnicodeString::fromUTF8(pattern), where, code));
    if (U_FAILURE(code)) {
      return absl::InternalError(
          absl::StrCat("ICU cannot compile the pre-tokenizer ", name, ": ",
                       u_errorName(code)));
    }
  }
  return result;
}

absl::StatusOr<std::vector<absl::string_view>> PreTokenizer::Split(
    absl::string_view text) const {
  const icu::UnicodeString units = icu::UnicodeString::fromUTF8(
      {text.data(), static_cast<int>(text.size())});
  std::vector<Range> pieces;
  if (!units.isEmpty()) pieces.push_back({0, units.length()});
  for (const auto& stage : stages_) {
    UErrorCode code = U_ZERO_ERROR;
    std::unique_ptr<icu::RegexMatcher> matcher(stage->matcher(units, code));
    RETURN_IF_ERROR(RegexStatus(code));
    matcher->setTimeLimit(kTimeLimit, code);
    matcher->setStackLimit(kStackBytes, code);
    RETURN_IF_ERROR(RegexStatus(code));
    std::vector<Range> finer;
    for (Range piece : pieces) {
      RETURN_IF_ERROR(SplitRange(piece, matcher.get(), &finer));
    }
    pieces = std::move(finer);
  }
  std::vector<absl::string_view> words;
  // ICU counts in UTF-16; words are views of the text itself, so units are
  // counted back into bytes.
  size_t begin = 0;
  for (Range piece : pieces) {
    size_t bytes = 0;
    for (int32_t i = piece.begin; i < piece.end; ++i) {
      bytes += Utf8Bytes(units.charAt(i));
    }
    words.push_back(text.substr(begin, bytes));
    begin += bytes;
  }
  return words;
}

}  // namespace subgen
