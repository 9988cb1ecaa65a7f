#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "tests/engine/text/byte_vocabulary.h"

namespace subgen {
namespace {

using testing::ElementsAre;

std::unique_ptr<Tokenizer> Make(Vocabulary vocabulary) {
  auto tokenizer = MakeTokenizer(std::move(vocabulary));
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
  return *std::move(tokenizer);
}

std::vector<int> Encode(const Tokenizer& tokenizer, const std::string& text) {
  auto ids = tokenizer.Encode(text, false);
  EXPECT_TRUE(ids.ok()) << ids.status();
  return *ids;
}

TEST(ByteBpe, MergesTheLowestRankFirstThenTheLeftmost) {
  // Token 256 is bc, 257 ab, 258 abc (ab + c), 259 aa.
  const auto tokenizer = Make(ByteVocabulary({"b c", "a b", "ab c", "a a"}));
  EXPECT_THAT(Encode(*tokenizer, "abc"), ElementsAre('a', 256));
  EXPECT_THAT(Encode(*tokenizer, "ab"), ElementsAre(257));
  EXPECT_THAT(Encode(*tokenizer, "aaa"), ElementsAre(259, 'a'));
  EXPECT_THAT(Encode(*tokenizer, "aab"), ElementsAre('a', 257));
  EXPECT_THAT(Encode(*tokenizer, ""), ElementsAre());
}

TEST(ByteBpe, MergesOnlyInsideWords) {
  const auto tokenizer = Make(ByteVocabulary({"a \xC4\xA0", "\xC4\xA0 a"}));
  EXPECT_THAT(Encode(*tokenizer, "a a"), ElementsAre('a', 257));
}

TEST(ByteBpe, LlamaTakesAWholeWordWhateverItsMerges) {
  Vocabulary vocabulary = ByteVocabulary({"b c", "a b", "ab c"});
  vocabulary.pre = "llama-bpe";
  const auto tokenizer = Make(vocabulary);
  EXPECT_THAT(Encode(*tokenizer, "abc"), ElementsAre(258));
  EXPECT_THAT(Encode(*tokenizer, "abcd"), ElementsAre('a', 256, 'd'));
}

// A byte without token is left out, as in llama.cpp; its neighbors stay apart.
TEST(ByteBpe, LeavesOutAByteWithoutToken) {
  Vocabulary vocabulary = ByteVocabulary({"a b"});
  vocabulary.tokens['x'] = "elsewhere";
  EXPECT_THAT(Encode(*Make(vocabulary), "axab"), ElementsAre('a', 256));
}

TEST(ByteBpe, DecodesEachByteAndKeepsWhatIsNotOfTheAlphabet) {
  Vocabulary vocabulary = ByteVocabulary({});
  vocabulary.tokens.insert(vocabulary.tokens.end(), {"a b日", "\xFF\xC4"});
  vocabulary.types.insert(vocabulary.types.end(), {1, 1});
  const auto tokenizer = Make(vocabulary);
  for (int byte = 0; byte < 256; ++byte) {
    EXPECT_EQ(tokenizer->Decode(byte, false), std::string(1, byte));
  }
  EXPECT_EQ(tokenizer->Decode(258, false), "a b日");
  EXPECT_EQ(tokenizer->Decode(259, false), "\xFF\xC4");
  EXPECT_EQ(tokenizer->Decode(260, false), "");
  EXPECT_EQ(tokenizer->Decode(-1, false), "");
}

// Merges by the definition: joins the best pair of the whole word, again and
// again.
std::vector<std::string> NaiveMerge(const std::string& word,
                                    const std::vector<std::string>& merges) {
  std::vector<std::string> parts;
  for (char c : word) parts.emplace_back(1, c);
  for (;;) {
    size_t best = merges.size(), where = 0;
    for (size_t i = 0; i + 1 < parts.size(); ++i) {
      const std::string pair = parts[i] + " " + parts[i + 1];
      const size_t rank =
          std::find(merges.begin(), merges.end(), pair) - merges.begin();
      if (rank < best) best = rank, where = i;
    }
    if (best == merges.size()) return parts;
    parts[where] += parts[where + 1];
    parts.erase(parts.begin() + where + 1);
  }
}

TEST(ByteBpe, AgreesWithTheDefinitionOnRandomMerges) {
  std::mt19937 random(2);
  for (int round = 0; round < 200; ++round) {
    std::vector<std::string> tokens = {"a", "b", "c"}, merges;
    for (int i = 0; i < 12; ++i) {
      const std::string left = tokens[random() % tokens.size()];
      const std::string right = tokens[random() % tokens.size()];
      if (std::count(tokens.begin(), tokens.end(), left + right) > 0) continue;
      merges.push_back(left + " " + right);
      tokens.push_back(left + right);
    }
    const auto tokenizer = Make(ByteVocabulary(merges));
    std::string word;
    for (int i = 0; i < 40; ++i) word.push_back("abc"[random() % 3]);
    std::vector<std::string> parts;
    for (int id : Encode(*tokenizer, word)) {
      parts.push_back(tokenizer->Decode(id, false));
    }
    EXPECT_EQ(parts, NaiveMerge(word, merges)) << word;
  }
}

// Quadratic merging would need hours.
TEST(ByteBpe, MergesOneWordOfAMillionLetters) {
  std::vector<std::string> merges;
  std::string token = "a";
  for (int i = 0; i < 6; ++i, token += token) {
    merges.push_back(token + " " + token);  // up to 64 letters
  }
  const auto tokenizer = Make(ByteVocabulary(merges));
  EXPECT_EQ(Encode(*tokenizer, std::string(1'000'000, 'a')).size(),
            1'000'000u / 64);
}

}  // namespace
}  // namespace subgen
