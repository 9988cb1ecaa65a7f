#include "launch/evaluation/questions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "engine/decode/engine.h"
#include "tests/support/toy_model.h"

namespace subgen {
namespace {

using testing::HasSubstr;

class QuestionsTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    EngineConfig config;
    config.model = WriteToyModel({}, "questions");
    model_ = new Model(*LoadModel(config));
  }
  static void TearDownTestSuite() { delete model_; }
  // The toy vocabulary is bytes: tokens and text are one to one.
  static const Tokenizer& tokenizer() { return *model_->tokenizer; }
  static std::string Decode(const std::vector<int>& tokens) {
    std::string text;
    for (const int token : tokens) text += tokenizer().Decode(token, true);
    return text;
  }
  static Text Prose(char letter, int64_t count) {
    return {std::string(1, letter),
            *tokenizer().Encode(std::string(count, letter), false)};
  }
  static Model* model_;
};
Model* QuestionsTest::model_ = nullptr;

TEST_F(QuestionsTest, PasskeyPromptIsProseFactAndEnding) {
  const Passkey passkey = DrawPasskey({1, 2, 0});
  EXPECT_EQ(passkey.number.size(), 5u);
  EXPECT_EQ(passkey.fact,
            absl::StrCat(" The pass key is ", passkey.number, ". Remember it. ",
                         passkey.number, " is the pass key."));
  const std::vector<int> prose = Prose('x', 300).tokens;
  for (const double depth : {0.0, 0.25, 1.0}) {
    const auto prompt = PasskeyPrompt(passkey, prose, depth, 200, tokenizer());
    ASSERT_TRUE(prompt.ok()) << prompt.status();
    EXPECT_EQ(prompt->size(), 200u);
    const std::string text = Decode(*prompt);
    const size_t filler = 200 - passkey.fact.size() - passkey.ending.size();
    const size_t before = static_cast<size_t>(depth * filler + 0.5);
    EXPECT_EQ(text, std::string(before, 'x') + passkey.fact +
                        std::string(filler - before, 'x') + passkey.ending);
    EXPECT_TRUE(absl::EndsWith(text, "\n\nThe pass key is"));
  }
  EXPECT_FALSE(PasskeyPrompt(passkey, prose, 0.5, 20, tokenizer()).ok());
}

TEST(Answers, PasskeyStartsWithItsNumber) {
  EXPECT_TRUE(StartsWithNumber(" 12345. It", "12345"));
  EXPECT_TRUE(StartsWithNumber("12345", "12345"));
  EXPECT_FALSE(StartsWithNumber(" 123456", "12345"));
  EXPECT_FALSE(StartsWithNumber(" 1234", "12345"));
  EXPECT_FALSE(StartsWithNumber(" the 12345", "12345"));
  EXPECT_FALSE(StartsWithNumber("", "12345"));
}

TEST(Answers, LinesEndWithTheirNumber) {
  EXPECT_TRUE(EndsWithNumber("The <REGISTER_CONTENT> is <42>.", 42));
  EXPECT_TRUE(EndsWithNumber("line 7: 42", 42));
  EXPECT_FALSE(EndsWithNumber("42 in line 7", 42));
  EXPECT_FALSE(EndsWithNumber("142", 42));
  EXPECT_FALSE(EndsWithNumber("no number", 0));
  EXPECT_FALSE(EndsWithNumber("99999999999999999999", 42));
}

TEST(Lines, NamesDifferAndTheAskedLineHoldsTheNumber) {
  for (const int64_t count : {int64_t{1}, int64_t{37}, kMostLines}) {
    const LinesQuestion question = DrawLines(count, {5, 3, 0});
    std::istringstream prompt(question.prompt);
    std::set<std::string> names;
    std::string line, last;
    bool found = false;
    while (std::getline(prompt, line)) {
      last = line;
      if (!absl::StartsWith(line, "line ")) continue;
      const std::string name = line.substr(0, line.find(':'));
      EXPECT_TRUE(names.insert(name).second) << name;
      EXPECT_THAT(line, HasSubstr(": REGISTER_CONTENT is <"));
      found |=
          absl::StrContains(question.prompt, absl::StrCat(" in ", name, "?")) &&
          absl::EndsWith(line, absl::StrCat("<", question.number, ">"));
    }
    EXPECT_EQ(static_cast<int64_t>(names.size()), count);
    EXPECT_TRUE(found);
    EXPECT_THAT(last, HasSubstr("Tell me what is the <REGISTER_CONTENT>"));
  }
  EXPECT_NE(DrawLines(9, {5, 3, 0}).prompt, DrawLines(9, {5, 4, 0}).prompt);
  EXPECT_EQ(DrawLines(9, {5, 3, 0}).prompt, DrawLines(9, {5, 3, 0}).prompt);
}

TEST_F(QuestionsTest, ExcerptsComeFromTheirTextAndOfTheSeed) {
  Text count{"count", {}};
  for (int i = 0; i < 200; ++i) count.tokens.push_back(i);
  std::set<int> starts;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const auto excerpt = *Excerpt({count}, 30, {seed, 0, 0});
    EXPECT_EQ(excerpt.size(), 30u);
    EXPECT_EQ(excerpt.back() - excerpt.front(), 29);
    starts.insert(excerpt.front());
  }
  EXPECT_GT(starts.size(), 20u);
  EXPECT_EQ(Excerpt({count}, 200, {1, 0, 0})->front(), 0);
  EXPECT_THAT(Excerpt({count}, 201, {1, 0, 0}).status().message(),
              testing::AllOf(HasSubstr("count"), HasSubstr("200")));
}

// Texts that are too short are passed over.
TEST_F(QuestionsTest, ExcerptsComeFromTextsThatAreLongEnough) {
  const std::vector<Text> texts = {{"short", {1, 2}}, {"long", {3, 4, 5}}};
  for (int64_t item = 0; item < 4; ++item) {
    EXPECT_EQ(*Excerpt(texts, 3, {1, item, 0}), (std::vector<int>{3, 4, 5}));
  }
}

TEST_F(QuestionsTest, UnrelatedExcerptsShareNoText) {
  const std::vector<Text> texts = {Prose('x', 50), Prose('y', 50),
                                   Prose('z', 50)};
  std::set<std::string> pairs;
  for (int64_t item = 0; item < 60; ++item) {
    const auto pair = *UnrelatedExcerpts(texts, 10, 20, {1, item, 0});
    EXPECT_EQ(Decode(pair.a), std::string(10, "xyz"[item % 3]));
    EXPECT_EQ(pair.b.size(), 20u);
    EXPECT_NE(pair.a[0], pair.b[0]);
    pairs.insert(Decode(pair.a).substr(0, 1) + Decode(pair.b).substr(0, 1));
  }
  EXPECT_EQ(pairs.size(), 6u);  // every text with every other one
}

TEST_F(QuestionsTest, ExcerptsOfOneTextDoNotOverlap) {
  Text count{"count", {}};
  for (int i = 0; i < 100; ++i) count.tokens.push_back(i);
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const auto pair = *UnrelatedExcerpts({count}, 20, 60, {seed, 0, 0});
    EXPECT_EQ(pair.a.size(), 20u);
    EXPECT_EQ(pair.b.size(), 60u);
    EXPECT_LT(pair.a.back(), pair.b.front());
  }
  EXPECT_FALSE(UnrelatedExcerpts({count}, 50, 60, {1, 0, 0}).ok());
}

}  // namespace
}  // namespace subgen
