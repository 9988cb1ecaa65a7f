// Random bytes and random vocabularies give an error or tokens, never a crash.
#include <gtest/gtest.h>

#include <random>

#include "engine/text/chat_template.h"
#include "kernels/base/utf8.h"
#include "tests/engine/text/byte_vocabulary.h"

namespace subgen {
namespace {

class Hostile {
 public:
  explicit Hostile(int seed) : random_(seed) {}

  size_t Below(size_t end) { return random_() % end; }
  std::string Bytes() {
    static const std::string parts[] = {"a",
                                        "b",
                                        " ",
                                        "\n",
                                        "<0x41>",
                                        "<s>",
                                        "▁",
                                        "Ġ",
                                        "é",
                                        "\xFF",
                                        "\xE2",
                                        "",
                                        "ab",
                                        "<|im_end|>",
                                        std::string(1, '\0'),
                                        std::string(300, 'a')};
    std::string bytes;
    for (size_t i = Below(6); i > 0; --i) {
      bytes += Below(8) == 0 ? std::string(1, static_cast<char>(random_()))
                             : parts[Below(std::size(parts))];
    }
    return bytes;
  }

  // Makes vocabularies mostly of the right sizes, now and then of a wrong one.
  Vocabulary Make() {
    Vocabulary vocabulary =
        Below(2) == 0 ? ByteVocabulary({"a b"}) : Vocabulary();
    vocabulary.model = Below(2) == 0 ? "gpt2" : "llama";
    vocabulary.pre = Below(2) == 0 ? "smollm" : "llama-bpe";
    for (size_t i = Below(20); i > 0; --i) {
      vocabulary.tokens.push_back(Bytes());
      vocabulary.types.push_back(1 + Below(6));
    }
    if (Below(4) == 0) vocabulary.types.clear();
    for (size_t i = 0; i < vocabulary.tokens.size(); ++i) {
      vocabulary.scores.push_back(static_cast<float>(Below(5)));
    }
    for (size_t i = Below(3); i > 0; --i) {
      vocabulary.merges.push_back(Below(2) == 0 ? "a b" : Bytes());
    }
    const int count = static_cast<int>(vocabulary.tokens.size());
    vocabulary.unknown = static_cast<int>(Below(count + 2)) - 1;
    vocabulary.eos = static_cast<int>(Below(count + 1)) - 1;
    return vocabulary;
  }

 private:
  std::mt19937 random_;
};

TEST(HostileText, IsEncodedOrRefused) {
  const auto tokenizer = MakeTokenizer(ByteVocabulary({"a b", "ab ab"}));
  ASSERT_TRUE(tokenizer.ok());
  Hostile hostile(3);
  for (int round = 0; round < 2000; ++round) {
    const std::string bytes = hostile.Bytes();
    const auto ids = (*tokenizer)->Encode(bytes, round % 2 == 0);
    ASSERT_EQ(ids.ok(), ValidUtf8Prefix(bytes) == bytes.size());
    if (!ids.ok()) continue;
    std::string decoded;
    for (int id : *ids) decoded += (*tokenizer)->Decode(id, true);
    EXPECT_EQ(decoded, bytes);
  }
}

TEST(HostileText, RandomVocabulariesAreUsedOrRefused) {
  Hostile hostile(4);
  int used = 0;
  for (int round = 0; round < 2000; ++round) {
    const auto tokenizer = MakeTokenizer(hostile.Make());
    if (!tokenizer.ok()) continue;
    ++used;
    const auto ids = (*tokenizer)->Encode(hostile.Bytes(), round % 2 == 0);
    if (!ids.ok()) continue;
    for (int id : *ids) {
      ASSERT_GE(id, 0);
      ASSERT_LT(id, (*tokenizer)->size());
    }
    for (int id = -1; id <= (*tokenizer)->size(); ++id) {
      (*tokenizer)->Decode(id, true);
      (*tokenizer)->EndsGeneration(id);
    }
  }
  EXPECT_GT(used, 200);
}

TEST(HostileText, AnyChatTemplateIsRecognizedOrRefused) {
  Hostile hostile(5);
  static const char* const parts[] = {
      "<|im_start|>system", "\n",     "\\n", "'",  "\"",      "\\",
      "<|im_end|>",         "[INST]", "<s>", "{{", "[/INST]", "<<SYS>>"};
  int recognized = 0;
  for (int round = 0; round < 2000; ++round) {
    std::string jinja;
    for (size_t i = hostile.Below(12); i > 0; --i) {
      jinja += parts[hostile.Below(std::size(parts))];
    }
    const auto chat = ChatTemplate::Make({}, jinja);
    if (!chat.ok()) continue;
    ++recognized;
    EXPECT_FALSE(chat->Render({{ChatMessage::Role::kUser, "x"}}).empty());
  }
  EXPECT_GT(recognized, 200);
}

}  // namespace
}  // namespace subgen
