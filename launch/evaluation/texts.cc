#include "launch/evaluation/texts.h"

#include <cstdio>
#include <filesystem>
#include <memory>

#include "absl/strings/str_cat.h"
#include "engine/config/read_file.h"
#include "kernels/base/check.h"
#include "kernels/base/quoted.h"
#include "kernels/base/random.h"
#include "kernels/base/status_macros.h"
#include "kernels/base/utf8.h"

namespace subgen {
namespace {

constexpr int64_t kMostBytes = 1 << 20;

constexpr absl::string_view kLicences[] = {
    "/usr/share/common-licenses/GPL-3",
    "/usr/share/common-licenses/MPL-2.0",
    "/usr/share/common-licenses/Apache-2.0",
    "/usr/share/common-licenses/GFDL-1.3",
    "/usr/share/common-licenses/MPL-1.1",
    "/usr/share/common-licenses/LGPL-2.1"};

// A text that was cut may end inside a character.
absl::StatusOr<Text> ToText(std::string name, std::string bytes,
                            const Tokenizer& tokenizer) {
  const size_t valid = ValidUtf8Prefix(bytes);
  if (valid + 4 <= bytes.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("text ", Quoted(name), " is not UTF-8 at byte ", valid));
  }
  bytes.resize(valid);
  ASSIGN_OR_RETURN(std::vector<int> tokens, tokenizer.Encode(bytes, false));
  return Text{std::move(name), std::move(tokens)};
}

absl::StatusOr<Text> ReadText(const std::string& path,
                              const Tokenizer& tokenizer) {
  auto bytes = ReadBeginning(path, kMostBytes);
  if (!bytes.ok()) {
    return absl::Status(bytes.status().code(),
                        absl::StrCat("text: ", bytes.status().message()));
  }
  return ToText(path, *std::move(bytes), tokenizer);
}

// Returns the Bible, and nothing if the program is absent.
std::string Bible() {
  struct Close {
    void operator()(std::FILE* pipe) const { pclose(pipe); }
  };
  const std::unique_ptr<std::FILE, Close> pipe(
      popen("bible -f 'gen1:1-rev22:21' 2> /dev/null", "r"));
  if (pipe == nullptr) return "";
  std::string bytes(kMostBytes, '\0');
  bytes.resize(std::fread(bytes.data(), 1, bytes.size(), pipe.get()));
  return bytes;
}

absl::StatusOr<std::vector<Text>> DebianTexts(const Tokenizer& tokenizer) {
  std::vector<Text> texts;
  if (std::string bible = Bible(); !bible.empty()) {
    ASSIGN_OR_RETURN(Text text,
                     ToText("bible-kjv", std::move(bible), tokenizer));
    texts.push_back(std::move(text));
  }
  for (const absl::string_view path : kLicences) {
    if (!std::filesystem::exists(std::string(path))) continue;
    ASSIGN_OR_RETURN(Text text, ReadText(std::string(path), tokenizer));
    texts.push_back(std::move(text));
  }
  if (texts.empty()) {
    return absl::NotFoundError(
        "no texts: /usr/share/common-licenses is absent; name files by "
        "--texts or the plan's key 'texts'");
  }
  return texts;
}

absl::Status TooShort(const Text& text, int64_t least) {
  return absl::InvalidArgumentError(
      absl::StrCat("text ", Quoted(text.name), " has ", text.tokens.size(),
                   " tokens, ", least,
                   " are needed; name longer texts or "
                   "lower the plan's lengths"));
}

std::vector<int> Slice(const Text& text, int64_t first, int64_t count) {
  const auto begin = text.tokens.begin() + first;
  return {begin, begin + count};
}

// Draws `count` tokens from anywhere in [first, end).
std::vector<int> DrawSlice(const Text& text, int64_t first, int64_t end,
                           int64_t count, const Draw& draw) {
  return Slice(text, first + draw.Below(end - first - count + 1), count);
}

int64_t Length(const Text& text) {
  return static_cast<int64_t>(text.tokens.size());
}

}  // namespace

absl::StatusOr<std::vector<Text>> LoadTexts(
    const std::vector<std::string>& paths, const Tokenizer& tokenizer) {
  if (paths.empty()) return DebianTexts(tokenizer);
  std::vector<Text> texts;
  for (const std::string& path : paths) {
    ASSIGN_OR_RETURN(Text text, ReadText(path, tokenizer));
    texts.push_back(std::move(text));
  }
  return texts;
}

int64_t Draw::Below(int64_t below, uint32_t draw) const {
  SUBGEN_CHECK(below >= 1);
  const double uniform = CounterRandom(seed, 0, part, item).Uniform(draw);
  return static_cast<int64_t>(uniform * static_cast<double>(below));
}

absl::StatusOr<std::vector<int>> Excerpt(const std::vector<Text>& texts,
                                         int64_t count, Draw draw) {
  std::vector<const Text*> enough;
  for (const Text& text : texts) {
    if (Length(text) >= count) enough.push_back(&text);
  }
  if (enough.empty()) return TooShort(texts[0], count);
  const Text& text = *enough[draw.item % enough.size()];
  return DrawSlice(text, 0, Length(text), count, draw);
}

absl::StatusOr<ExcerptPair> UnrelatedExcerpts(const std::vector<Text>& texts,
                                              int64_t count_a, int64_t count_b,
                                              Draw draw) {
  const int64_t count = static_cast<int64_t>(texts.size());
  const Text& a = texts[draw.item % count];
  Draw draw_b = draw;
  draw_b.part = draw.part + 1;
  if (count == 1) {
    const int64_t middle = Length(a) * count_a / (count_a + count_b);
    if (middle < count_a || Length(a) - middle < count_b) {
      return TooShort(a, count_a + count_b + 1);
    }
    return ExcerptPair{DrawSlice(a, 0, middle, count_a, draw),
                       DrawSlice(a, middle, Length(a), count_b, draw_b)};
  }
  const int64_t other = 1 + draw_b.Below(count - 1, 1);
  const Text& b = texts[(draw.item + other) % count];
  if (Length(a) < count_a) return TooShort(a, count_a);
  if (Length(b) < count_b) return TooShort(b, count_b);
  return ExcerptPair{DrawSlice(a, 0, Length(a), count_a, draw),
                     DrawSlice(b, 0, Length(b), count_b, draw_b)};
}

}  // namespace subgen
