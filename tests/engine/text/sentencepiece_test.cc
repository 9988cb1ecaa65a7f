#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/text/tokenizer.h"

namespace subgen {
namespace {

using testing::ElementsAre;

// Ids are 0 <unk>, 1 <s>, 2 </s>, then as listed.
Vocabulary Pieces(const std::vector<std::pair<std::string, float>>& pieces) {
  Vocabulary vocabulary;
  vocabulary.model = "llama";
  vocabulary.tokens = {"<unk>", "<s>", "</s>"};
  vocabulary.types = {2, 3, 3};
  vocabulary.scores = {0, 0, 0};
  vocabulary.bos = 1;
  vocabulary.eos = 2;
  vocabulary.unknown = 0;
  for (const auto& [text, score] : pieces) {
    vocabulary.tokens.push_back(text);
    vocabulary.types.push_back(1);
    vocabulary.scores.push_back(score);
  }
  return vocabulary;
}

std::vector<int> Encode(const Vocabulary& vocabulary, const std::string& text,
                        bool special = false) {
  const auto tokenizer = MakeTokenizer(vocabulary);
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
  const auto ids = (*tokenizer)->Encode(text, special);
  EXPECT_TRUE(ids.ok()) << ids.status();
  return *ids;
}

const std::vector<std::pair<std::string, float>> kLetters = {
    {"▁", -10}, {"a", -11}, {"b", -12}, {"c", -13}};  // 3 to 6

TEST(SentencePiece, MergesTheHighestScoreFirstThenTheLeftmost) {
  auto pieces = kLetters;
  pieces.insert(pieces.end(),
                {{"ab", -2}, {"bc", -1}, {"aa", -3}, {"▁a", -4}});  // 7 to 10
  Vocabulary vocabulary = Pieces(pieces);
  EXPECT_THAT(Encode(vocabulary, "abc"), ElementsAre(10, 8));
  EXPECT_THAT(Encode(vocabulary, "aaa"), ElementsAre(3, 9, 4));
  EXPECT_THAT(Encode(vocabulary, "a a"), ElementsAre(10, 10));
  vocabulary.add_space_prefix = false;
  EXPECT_THAT(Encode(vocabulary, "abc"), ElementsAre(4, 8));
}

TEST(SentencePiece, GivesUnknownOnceForARunWithoutByteTokens) {
  EXPECT_THAT(Encode(Pieces(kLetters), "aéé日b"), ElementsAre(3, 4, 0, 5));
}

TEST(SentencePiece, FallsBackToBytes) {
  Vocabulary vocabulary = Pieces(kLetters);
  vocabulary.tokens.insert(vocabulary.tokens.end(), {"<0xC3>", "<0xA9>"});
  vocabulary.types.insert(vocabulary.types.end(), {6, 6});
  vocabulary.scores.insert(vocabulary.scores.end(), {0, 0});
  EXPECT_THAT(Encode(vocabulary, "éa日"), ElementsAre(3, 7, 8, 4, 0));
  const auto tokenizer = MakeTokenizer(vocabulary);
  EXPECT_EQ((*tokenizer)->Decode(7, false), "\xC3");
  EXPECT_EQ((*tokenizer)->Decode(3, false), " ");
  vocabulary.types.clear();  // then <0xNN> is known by its name
  EXPECT_EQ((*MakeTokenizer(vocabulary))->Decode(8, false), "\xA9");
}

TEST(SentencePiece, AddsASpaceAfterEachSpecialToken) {
  EXPECT_THAT(Encode(Pieces(kLetters), "a</s>b", true),
              ElementsAre(3, 4, 2, 3, 5));
}

// Pieces of a control token's text are tokens here, the token itself must not
// come out of what a user typed.
TEST(SentencePiece, NeverMergesTextIntoAControlToken) {
  auto pieces = kLetters;
  pieces.insert(pieces.end(),
                {{"<", 0}, {"/", 0}, {"s", 0}, {">", 0}, {"</", 0}, {"s>", 0}});
  EXPECT_THAT(Encode(Pieces(pieces), "</s>"), ElementsAre(3, 11, 12));
}

TEST(SentencePiece, NeedsByteTokensOrAnUnknownToken) {
  Vocabulary vocabulary = Pieces(kLetters);
  vocabulary.unknown = -1;
  EXPECT_EQ(MakeTokenizer(vocabulary).status().message(),
            "vocabulary: there must be a byte token <0x00> or an unknown "
            "token");
}

// golden/sentencepiece.json is written by golden/make_sentencepiece.py.
TEST(SentencePiece, AgreesWithTheSentencePiecePackage) {
  std::ifstream file(SUBGEN_SOURCE_DIR "/tests/golden/sentencepiece.json");
  int compared = 0;
  for (const auto& model : nlohmann::json::parse(file)) {
    Vocabulary vocabulary = Pieces({});
    vocabulary.tokens = model["tokens"];
    vocabulary.types = model["types"].get<std::vector<int>>();
    vocabulary.scores = model["scores"].get<std::vector<float>>();
    const auto tokenizer = MakeTokenizer(vocabulary);
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
    for (const auto& item : model["cases"]) {
      const std::string text = item["text"];
      const auto ids = (*tokenizer)->Encode(text, false);
      ASSERT_TRUE(ids.ok());
      EXPECT_EQ(*ids, item["ids"].get<std::vector<int>>()) << item["text"];
      ++compared;
    }
  }
  EXPECT_EQ(compared, 152);
}

TEST(SentencePiece, MergesAMillionLetters) {
  auto pieces = kLetters;
  for (size_t length = 2; length <= 64; length *= 2) {
    pieces.push_back({std::string(length, 'a'), -0.01f * length});
  }
  Vocabulary vocabulary = Pieces(pieces);
  vocabulary.add_space_prefix = false;
  EXPECT_EQ(Encode(vocabulary, std::string(1'000'000, 'a')).size(),
            1'000'000u / 64);
}

}  // namespace
}  // namespace subgen
