#include "kernels/base/utf8.h"

#include <gtest/gtest.h>
#include <unicode/unistr.h>

#include <random>

#include "engine/text/tokenizer.h"

namespace subgen {
namespace {

// Returns what ICU's decoder makes of the bytes, which is the independent
// answer.
std::string IcuDecoded(const std::string& bytes) {
  std::string text;
  icu::UnicodeString::fromUTF8(bytes).toUTF8String(text);
  return text;
}

std::string Streamed(const std::string& bytes, size_t cut_one, size_t cut_two) {
  Utf8Stream stream;
  std::string text = stream.Push(absl::string_view(bytes).substr(0, cut_one));
  EXPECT_EQ(IcuDecoded(text), text) << "half a character came out";
  text +=
      stream.Push(absl::string_view(bytes).substr(cut_one, cut_two - cut_one));
  text += stream.Push(absl::string_view(bytes).substr(cut_two));
  return text + stream.Finish();
}

TEST(Utf8Stream, AnyTwoCutsOfValidTextChangeNothing) {
  const std::string text = "aé日🙂\u0301 \U0010FFFFz";
  for (size_t one = 0; one <= text.size(); ++one) {
    for (size_t two = one; two <= text.size(); ++two) {
      EXPECT_EQ(Streamed(text, one, two), text) << one << " " << two;
    }
  }
}

TEST(Utf8Stream, HoldsBackAnIncompleteCharacter) {
  Utf8Stream stream;
  EXPECT_EQ(stream.Push("a\xF0\x9F"), "a");
  EXPECT_EQ(stream.Push("\x99"), "");
  EXPECT_EQ(stream.Push("\x82!"), "\xF0\x9F\x99\x82!");
  EXPECT_EQ(stream.Finish(), "");
}

TEST(Utf8Stream, ReplacesWhatCanNeverBecomeValid) {
  Utf8Stream stream;
  EXPECT_EQ(stream.Push("\xFFx"), "\uFFFDx");
  EXPECT_EQ(stream.Push("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD");  // surrogate
  EXPECT_EQ(stream.Push("\xC0\x80"), "\uFFFD\uFFFD");            // overlong
  EXPECT_EQ(stream.Push("\xE2\x82"
                        "A"),
            "\uFFFDA");
  EXPECT_EQ(stream.Push("\xE2\x82"), "");
  EXPECT_EQ(stream.Finish(), "\uFFFD");
  EXPECT_EQ(stream.Finish(), "");
}

TEST(Utf8Stream, AgreesWithIcuOnRandomBytes) {
  std::mt19937 random(1);
  const std::string likely =
      "\xC3\xE0\xE2\xED\xEF\xF0\xF4\x80\x9F\xA0\xBF"
      "a";
  for (int round = 0; round < 3000; ++round) {
    std::string bytes;
    for (size_t i = random() % 12; i > 0; --i) {
      bytes.push_back(random() % 4 == 0 ? static_cast<char>(random())
                                        : likely[random() % likely.size()]);
    }
    const size_t one = random() % (bytes.size() + 1);
    const size_t two = one + random() % (bytes.size() - one + 1);
    const std::string expected = IcuDecoded(bytes);
    EXPECT_EQ(Streamed(bytes, one, two), expected);
    EXPECT_EQ(ValidUtf8Prefix(bytes) == bytes.size(), bytes == expected);
  }
}

TEST(Utf8, CodePointsGoThereAndBack) {
  for (char32_t code_point : {0x0, 0x7F, 0x80, 0x7FF, 0x800, 0xD7FF, 0xE000,
                              0xFFFF, 0x10000, 0x10FFFF}) {
    std::string text;
    AppendUtf8(code_point, &text);
    std::string icu;
    icu::UnicodeString(static_cast<UChar32>(code_point)).toUTF8String(icu);
    EXPECT_EQ(text, icu);
    EXPECT_EQ(DecodeUtf8(text), code_point);
  }
}

}  // namespace
}  // namespace subgen
