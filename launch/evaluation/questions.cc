#include "launch/evaluation/questions.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "kernels/base/check.h"
#include "kernels/base/status_macros.h"

namespace subgen {
namespace {

constexpr const char* kAdjectives[] = {
    "able",    "ancient", "bitter", "brave",   "brief",  "bright", "calm",
    "careful", "cheap",   "clever", "cold",    "common", "crisp",  "curious",
    "damp",    "dark",    "deep",   "distant", "dry",    "eager",  "early",
    "empty",   "exact",   "faint",  "famous",  "fierce", "firm",   "flat",
    "formal",  "fresh",   "gentle", "grand",   "happy",  "heavy",  "hidden",
    "honest",  "hungry",  "idle",   "kind",    "large",  "late",   "lively",
    "loud",    "mild",    "modern", "narrow",  "noble",  "plain",  "proud",
    "quick",   "quiet",   "rapid",  "rough",   "sharp",  "shy",    "silent",
    "slow",    "smooth",  "steep",  "strange", "sweet",  "tall",   "warm",
    "young"};
constexpr const char* kNouns[] = {
    "anchor",  "apple",  "arrow",    "basket", "beacon", "bell",    "blanket",
    "boat",    "bottle", "branch",   "bridge", "bucket", "candle",  "canyon",
    "carpet",  "castle", "chair",    "clock",  "cloud",  "coin",    "compass",
    "copper",  "crown",  "desert",   "door",   "eagle",  "engine",  "falcon",
    "feather", "field",  "flute",    "forest", "garden", "glove",   "hammer",
    "harbor",  "island", "jacket",   "kettle", "ladder", "lantern", "lemon",
    "letter",  "mirror", "mountain", "needle", "ocean",  "orchard", "paper",
    "pencil",  "pillow", "planet",   "river",  "saddle", "shadow",  "silver",
    "stone",   "table",  "temple",   "thread", "tower",  "valley",  "wagon",
    "window"};
static_assert(std::size(kAdjectives) * std::size(kNouns) == kMostLines);

}  // namespace

Passkey DrawPasskey(Draw draw) {
  const std::string number = absl::StrCat(10000 + draw.Below(90000));
  return {absl::StrCat(" The pass key is ", number, ". Remember it. ", number,
                       " is the pass key."),
          "\n\nThe pass key is", number};
}

absl::StatusOr<std::vector<int>> PasskeyPrompt(const Passkey& passkey,
                                               std::vector<int> prose,
                                               double depth, int64_t length,
                                               const Tokenizer& tokenizer) {
  ASSIGN_OR_RETURN(const std::vector<int> fact,
                   tokenizer.Encode(passkey.fact, false));
  ASSIGN_OR_RETURN(const std::vector<int> ending,
                   tokenizer.Encode(passkey.ending, false));
  const Vocabulary& vocabulary = tokenizer.vocabulary();
  const int64_t room = length - static_cast<int64_t>(fact.size()) -
                       static_cast<int64_t>(ending.size()) -
                       (vocabulary.add_bos ? 1 : 0);
  if (room < 0 || room > static_cast<int64_t>(prose.size())) {
    return absl::InvalidArgumentError(
        absl::StrCat("a pass key prompt of ", length, " tokens has room for ",
                     room, " of prose, of which there are ", prose.size()));
  }
  prose.resize(room);
  const int64_t before = std::llround(depth * static_cast<double>(room));
  prose.insert(prose.begin() + before, fact.begin(), fact.end());
  prose.insert(prose.end(), ending.begin(), ending.end());
  if (vocabulary.add_bos) prose.insert(prose.begin(), vocabulary.bos);
  return prose;
}

bool StartsWithNumber(absl::string_view completion, absl::string_view number) {
  completion = absl::StripLeadingAsciiWhitespace(completion);
  return absl::StartsWith(completion, number) &&
         (completion.size() == number.size() ||
          !absl::ascii_isdigit(completion[number.size()]));
}

LinesQuestion DrawLines(int64_t lines, Draw draw) {
  SUBGEN_CHECK(lines >= 1 && lines <= kMostLines);
  // Names differ, as they are the front of a shuffle (Fisher and Yates) of all
  // of them.
  std::vector<int> names(kMostLines);
  std::iota(names.begin(), names.end(), 0);
  const auto name = [&](int64_t i) {
    return absl::StrCat(kAdjectives[names[i] / std::size(kNouns)], "-",
                        kNouns[names[i] % std::size(kNouns)]);
  };
  LinesQuestion question;
  std::string record;
  const int64_t asked = draw.Below(lines);
  for (int64_t i = 0; i < lines; ++i) {
    const uint32_t number = 1 + 2 * static_cast<uint32_t>(i);
    std::swap(names[i], names[i + draw.Below(kMostLines - i, number)]);
    const int value = static_cast<int>(draw.Below(50001, number + 1));
    absl::StrAppend(&record, "line ", name(i), ": REGISTER_CONTENT is <", value,
                    ">\n");
    if (i == asked) question.number = value;
  }
  question.prompt = absl::StrCat(
      "Below is a record of lines I want you to remember. Each line begins "
      "with 'line <line index>' and contains a '<REGISTER_CONTENT>' at the end "
      "of the line as a numerical value. For each line index, memorize its "
      "corresponding <REGISTER_CONTENT>. At the end of the record, I will ask "
      "you to retrieve the corresponding <REGISTER_CONTENT> of a certain line "
      "index. Now the record start:\n\n",
      record,
      "\nNow the record is over. Tell me what is the "
      "<REGISTER_CONTENT> in line ",
      name(asked), "? I need the number.");
  return question;
}

bool EndsWithNumber(absl::string_view answer, int number) {
  const auto last = std::find_if(answer.rbegin(), answer.rend(),
                                 [](char c) { return absl::ascii_isdigit(c); });
  const auto first = std::find_if(
      last, answer.rend(), [](char c) { return !absl::ascii_isdigit(c); });
  int found = 0;
  return last != answer.rend() &&
         absl::SimpleAtoi(std::string(first.base(), last.base()), &found) &&
         found == number;
}

}  // namespace subgen
