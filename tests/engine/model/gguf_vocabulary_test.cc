#include "engine/model/gguf/gguf_vocabulary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/gguf_writer.h"
#include "tests/support/model_file.h"

namespace subgen {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

absl::StatusOr<Vocabulary> Read(GgufWriter writer) {
  writer.Set("general.architecture", "llama");
  const std::string path = TestPath("vocabulary.gguf");
  writer.Write(path);
  const auto file = GgufFile::Open(path);
  if (!file.ok()) return file.status();
  return ReadGgufVocabulary(**file);
}

GgufWriter Llama() {
  GgufWriter writer;
  writer.Set("tokenizer.ggml.model", "llama");
  writer.Set("tokenizer.ggml.tokens",
             std::vector<std::string>{"<unk>", "<s>", "</s>", "a"});
  writer.Set("tokenizer.ggml.token_type", std::vector<int32_t>{2, 3, 3, 1});
  writer.Set("tokenizer.ggml.scores", std::vector<float>{0, 0, 0, -1.5f});
  return writer;
}

GgufWriter Gpt2() {
  GgufWriter writer;
  writer.Set("tokenizer.ggml.model", "gpt2");
  writer.Set("tokenizer.ggml.pre", "qwen2");
  writer.Set("tokenizer.ggml.tokens",
             std::vector<std::string>{"a", "b", "ab", "<|im_end|>"});
  writer.Set("tokenizer.ggml.merges", std::vector<std::string>{"a b"});
  return writer;
}

TEST(GgufVocabularyTest, LlamaHasDefaults) {
  const auto vocabulary = Read(Llama());
  ASSERT_TRUE(vocabulary.ok()) << vocabulary.status();
  EXPECT_EQ(vocabulary->bos, 1);
  EXPECT_EQ(vocabulary->eos, 2);
  EXPECT_EQ(vocabulary->unknown, 0);
  EXPECT_TRUE(vocabulary->add_bos);
  EXPECT_FALSE(vocabulary->add_eos);
  EXPECT_TRUE(vocabulary->add_space_prefix);
  EXPECT_THAT(vocabulary->tokens, ElementsAre("<unk>", "<s>", "</s>", "a"));
  EXPECT_THAT(vocabulary->types, ElementsAre(2, 3, 3, 1));
  EXPECT_THAT(vocabulary->scores, ElementsAre(0, 0, 0, -1.5f));
}

TEST(GgufVocabularyTest, EveryKeyIsRead) {
  GgufWriter writer = Gpt2();
  writer.Set("tokenizer.ggml.bos_token_id", uint32_t{1});
  writer.Set("tokenizer.ggml.eos_token_id", uint32_t{2});
  writer.Set("tokenizer.ggml.eot_token_id", uint32_t{3});
  writer.Set("tokenizer.ggml.unknown_token_id", uint32_t{0});
  writer.Set("tokenizer.ggml.add_bos_token", true);
  writer.Set("tokenizer.ggml.add_eos_token", true);
  writer.Set("tokenizer.ggml.add_space_prefix", false);
  writer.Set("tokenizer.chat_template", "{{ x }}");
  const auto vocabulary = Read(writer);
  ASSERT_TRUE(vocabulary.ok()) << vocabulary.status();
  EXPECT_EQ(vocabulary->model, "gpt2");
  EXPECT_EQ(vocabulary->pre, "qwen2");
  EXPECT_EQ(vocabulary->bos, 1);
  EXPECT_EQ(vocabulary->eos, 2);
  EXPECT_EQ(vocabulary->end_of_turn, 3);
  EXPECT_EQ(vocabulary->unknown, 0);
  EXPECT_TRUE(vocabulary->add_bos);
  EXPECT_TRUE(vocabulary->add_eos);
  EXPECT_FALSE(vocabulary->add_space_prefix);
  EXPECT_EQ(vocabulary->chat_template, "{{ x }}");
  EXPECT_THAT(vocabulary->merges, ElementsAre("a b"));
}

TEST(GgufVocabularyTest, Gpt2HasNoDefaultIds) {
  const auto vocabulary = Read(Gpt2());
  ASSERT_TRUE(vocabulary.ok()) << vocabulary.status();
  EXPECT_EQ(vocabulary->bos, -1);
  EXPECT_EQ(vocabulary->eos, -1);
  EXPECT_FALSE(vocabulary->add_bos);
  EXPECT_TRUE(vocabulary->types.empty());
}

// Each file has one fault; the error names the file and the fault.
TEST(GgufVocabularyTest, RefusesBadMetadata) {
  const auto expect = [](const std::string& message,
                         void (*spoil)(GgufWriter&)) {
    GgufWriter writer = Gpt2();
    spoil(writer);
    auto vocabulary = Read(writer);
    const absl::Status status = vocabulary.ok()
                                    ? MakeTokenizer(*vocabulary).status()
                                    : vocabulary.status();
    EXPECT_FALSE(status.ok()) << message;
    EXPECT_THAT(std::string(status.message()), HasSubstr(message));
    if (!vocabulary.ok()) {
      EXPECT_THAT(std::string(status.message()), HasSubstr("vocabulary.gguf"));
    }
  };
  expect("'bert' is not supported; gpt2 and llama are",
         [](GgufWriter& w) { w.Set("tokenizer.ggml.model", "bert"); });
  expect("gpt2 and llama are",
         [](GgufWriter& w) { w.Remove("tokenizer.ggml.model"); });
  expect("'tekken' is not supported; smollm, gpt-2, llama-bpe and qwen2",
         [](GgufWriter& w) { w.Set("tokenizer.ggml.pre", "tekken"); });
  expect("tokenizer.ggml.model",
         [](GgufWriter& w) { w.Set("tokenizer.ggml.model", 3); });
  expect("tokenizer.ggml.tokens",
         [](GgufWriter& w) { w.Remove("tokenizer.ggml.tokens"); });
  expect("tokenizer.ggml.tokens", [](GgufWriter& w) {
    w.Set("tokenizer.ggml.tokens", std::vector<int32_t>{1, 2});
  });
  expect("tokenizer.ggml.merges",
         [](GgufWriter& w) { w.Remove("tokenizer.ggml.merges"); });
  expect("tokenizer.ggml.add_bos_token",
         [](GgufWriter& w) { w.Set("tokenizer.ggml.add_bos_token", "yes"); });
  expect(
      "tokenizer.ggml.eos_token_id is 4, but there are 4 tokens",
      [](GgufWriter& w) { w.Set("tokenizer.ggml.eos_token_id", uint32_t{4}); });
  expect("tokenizer.ggml.bos_token_id is -1", [](GgufWriter& w) {
    w.Set("tokenizer.ggml.bos_token_id", int32_t{-1});
  });
  expect("type 0 of token 1", [](GgufWriter& w) {
    w.Set("tokenizer.ggml.token_type", std::vector<int32_t>{1, 99, 1, 3});
  });
  expect("tokenizer.chat_template",
         [](GgufWriter& w) { w.Set("tokenizer.chat_template", true); });
}

}  // namespace
}  // namespace subgen
