#include "engine/text/pretokenizer.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

namespace subgen {
namespace {

std::vector<std::string> Words(const std::string& name,
                               const std::string& text) {
  const auto pretokenizer = PreTokenizer::Make(name);
  EXPECT_TRUE(pretokenizer.ok()) << pretokenizer.status();
  const auto words = pretokenizer->Split(text);
  EXPECT_TRUE(words.ok()) << words.status();
  return {words->begin(), words->end()};
}

// golden/pretokenizer.json has 80 texts as llama.cpp (unicode_regex_split of
// the copy in llama-cpp-python 0.3.36) cuts them.
TEST(PreTokenizer, CutsAsLlamaCppDoes) {
  std::ifstream file(SUBGEN_SOURCE_DIR "/tests/golden/pretokenizer.json");
  const nlohmann::json cases = nlohmann::json::parse(file);
  ASSERT_EQ(cases.size(), 80u);
  for (const auto& item : cases) {
    for (const char* name : {"smollm", "gpt-2", "llama-bpe", "qwen2"}) {
      EXPECT_EQ(Words(name, item["text"]),
                item[name].get<std::vector<std::string>>())
          << name << " " << item["text"];
    }
  }
}

TEST(PreTokenizer, RefusesAnUnknownNameAndListsTheLegalOnes) {
  const auto status = PreTokenizer::Make("tekken").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  for (const char* part : {"tekken", "smollm", "gpt-2", "llama-bpe", "qwen2"}) {
    EXPECT_NE(status.message().find(part), absl::string_view::npos) << part;
  }
}

// A search that backs up over the whole text at each character would take
// hours here, and one that needs stack for each character would fail.
TEST(PreTokenizer, TakesMegabytesInLinearTime) {
  const size_t million = 1'000'000;
  const std::string letters(million, 'a'), spaces(million, ' ');
  const std::string digits(million, '1'), signs(million, '\'');
  for (const char* name : {"smollm", "gpt-2", "llama-bpe", "qwen2"}) {
    EXPECT_EQ(Words(name, letters).size(), 1u);
    EXPECT_EQ(Words(name, spaces).size(), 1u);
    EXPECT_EQ(Words(name, spaces + "a").size(), 2u);
    EXPECT_EQ(Words(name, signs).size(), 1u);
  }
  EXPECT_EQ(Words("smollm", digits).size(), million);
  EXPECT_EQ(Words("gpt-2", digits).size(), 1u);
  EXPECT_EQ(Words("llama-bpe", digits).size(), (million + 2) / 3);
  EXPECT_EQ(Words("qwen2", digits).size(), million);
}

}  // namespace
}  // namespace subgen
