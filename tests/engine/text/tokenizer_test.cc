#include "engine/text/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/engine/text/byte_vocabulary.h"

namespace subgen {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr int kEnd = 256;   // <|im_end|>
constexpr int kTool = 257;  // <tool>

std::unique_ptr<Tokenizer> Make(Vocabulary vocabulary) {
  auto tokenizer = MakeTokenizer(std::move(vocabulary));
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
  return *std::move(tokenizer);
}

TEST(Tokenizer, FindsControlTokensOnlyWhereTheyAreMeant) {
  const auto tokenizer = Make(ByteVocabulary({}));
  EXPECT_THAT(*tokenizer->Encode("a<|im_end|><tool>b", true),
              ElementsAre('a', kEnd, kTool, 'b'));
  EXPECT_THAT(
      *tokenizer->Encode("<|im_end|><tool>", false),
      ElementsAre('<', '|', 'i', 'm', '_', 'e', 'n', 'd', '|', '>', kTool));
  // Neither half of a token may come from a user.
  EXPECT_EQ(
      tokenizer->EncodePrompt({{"<|im", false}, {"_end|>", true}})->size(),
      10u);
  EXPECT_EQ(
      tokenizer->EncodePrompt({{"<|im_", true}, {"end|>", false}})->size(),
      10u);
  EXPECT_THAT(*tokenizer->EncodePrompt({{"<|im_end|>", true}, {"a", false}}),
              ElementsAre(kEnd, 'a'));
}

TEST(Tokenizer, WordsSpanThePiecesOfAPrompt) {
  const auto tokenizer = Make(ByteVocabulary({"a b"}));
  EXPECT_THAT(*tokenizer->EncodePrompt({{"a", true}, {"b", false}}),
              ElementsAre(256));
}

TEST(Tokenizer, TakesTheLongestSpecialTokenThenTheLeftmost) {
  Vocabulary vocabulary = ByteVocabulary({});
  vocabulary.tokens.insert(vocabulary.tokens.end(), {"xy", "yyzw", "yy"});
  vocabulary.types.insert(vocabulary.types.end(), {4, 4, 4});  // 258 to 260
  const auto tokenizer = Make(vocabulary);
  EXPECT_THAT(*tokenizer->Encode("xyyzw", false), ElementsAre('x', 259));
  EXPECT_THAT(*tokenizer->Encode("xyyy", false), ElementsAre(258, 260));
  EXPECT_THAT(*tokenizer->Encode("yyy", false), ElementsAre(260, 'y'));
}

TEST(Tokenizer, DecodesControlTokensOnlyWhereAsked) {
  const auto tokenizer = Make(ByteVocabulary({}));
  EXPECT_EQ(tokenizer->Decode(kEnd, false), "");
  EXPECT_EQ(tokenizer->Decode(kEnd, true), "<|im_end|>");
  EXPECT_EQ(tokenizer->Decode(kTool, false), "<tool>");
}

TEST(Tokenizer, NamesTheOffsetOfInvalidUtf8) {
  const auto tokenizer = Make(ByteVocabulary({}));
  for (const char* bad : {"ab\xFF", "ab\xE2\x82", "ab\xED\xA0\x80"}) {
    const auto status = tokenizer->Encode(bad, false).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr("at byte 2"));
  }
}

TEST(Tokenizer, KnowsWhatEndsAnAnswer) {
  Vocabulary vocabulary = ByteVocabulary({});
  vocabulary.tokens.insert(vocabulary.tokens.end(), {"</s>", "<|eot_id|>"});
  vocabulary.types.insert(vocabulary.types.end(), {1, 3});
  vocabulary.eos = 'a';
  vocabulary.end_of_turn = 'b';
  const auto tokenizer = Make(vocabulary);
  std::vector<int> endings;
  for (int id = -1; id <= tokenizer->size(); ++id) {
    if (tokenizer->EndsGeneration(id)) endings.push_back(id);
  }
  EXPECT_THAT(endings, ElementsAre('a', 'b', kEnd, 259));  // </s> is no control
}

// Each vocabulary has one fault; the message names it in one line.
TEST(Tokenizer, RefusesABadVocabulary) {
  const auto expect = [](const std::string& message,
                         void (*spoil)(Vocabulary&)) {
    Vocabulary vocabulary = ByteVocabulary({"a b"});
    spoil(vocabulary);
    const auto status = MakeTokenizer(vocabulary).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << message;
    EXPECT_THAT(std::string(status.message()), HasSubstr(message));
    EXPECT_EQ(status.message().find('\n'), absl::string_view::npos);
  };
  expect("tokenizer model 'bert'", [](Vocabulary& v) { v.model = "bert"; });
  expect("pre-tokenizer ''", [](Vocabulary& v) { v.pre = ""; });
  expect("0 tokens", [](Vocabulary& v) { v = {}, v.model = "llama"; });
  expect("2 token types for 259", [](Vocabulary& v) { v.types = {1, 1}; });
  expect("type 7 of token 3", [](Vocabulary& v) { v.types[3] = 7; });
  expect("tokens 65 and 66 are both 'A'",
         [](Vocabulary& v) { v.tokens[66] = "A"; });
  expect("BOS token 259", [](Vocabulary& v) { v.bos = 259; });
  expect("EOS token -2", [](Vocabulary& v) { v.eos = -2; });
  expect("unknown token 1000", [](Vocabulary& v) { v.unknown = 1000; });
  expect("end-of-turn token 1000", [](Vocabulary& v) { v.end_of_turn = 1000; });
  expect("there is none", [](Vocabulary& v) { v.add_bos = true; });
  expect("merge 0 'a c'", [](Vocabulary& v) { v.merges[0] = "a c"; });
  expect("merge 0 'ab'", [](Vocabulary& v) { v.merges[0] = "ab"; });
  expect("merge 0 ''", [](Vocabulary& v) { v.merges[0] = ""; });
  expect("merge 0 'a\\n", [](Vocabulary& v) { v.merges[0] = "a\n\xFF"; });
  expect("70000 bytes", [](Vocabulary& v) { v.tokens[9].assign(70000, 'x'); });
  expect("0 scores", [](Vocabulary& v) { v.model = "llama"; });
  expect("score nan of token 0", [](Vocabulary& v) {
    v.model = "llama", v.scores.assign(259, std::nanf(""));
  });
}

TEST(Tokenizer, EmptyTokensAreLegalAndMeanNothing) {
  Vocabulary vocabulary = ByteVocabulary({});
  vocabulary.tokens.insert(vocabulary.tokens.end(), {"", ""});
  vocabulary.types.insert(vocabulary.types.end(), {3, 4});
  EXPECT_THAT(*Make(vocabulary)->Encode("ab", true), ElementsAre('a', 'b'));
}

}  // namespace
}  // namespace subgen
