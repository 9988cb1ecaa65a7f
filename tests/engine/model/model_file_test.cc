// These test what the engine sees of a model file: tensors by their roles, in
// memory that stays.
#include "engine/model/model_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/model_file.h"
#include "tests/support/toy_model.h"

namespace subgen {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

ModelFile Read(const ToyModel& toy) {
  auto file = ReadGgufModel(WriteToyModel(toy, "model_file"), {});
  EXPECT_TRUE(file.ok()) << file.status();
  return *std::move(file);
}

TEST(ModelFileTest, GivesTensorsByTheirRoles) {
  ToyModel toy;
  toy.tied_embeddings = false;
  const ModelFile file = Read(toy);
  EXPECT_EQ(file.embedding->name, "token_embd.weight");
  EXPECT_EQ(file.unembedding->name, "output.weight");
  EXPECT_EQ(file.output_norm->name, "output_norm.weight");
  ASSERT_EQ(file.layers.size(), 2u);
  const LayerTensors& layer = file.layers[1];
  EXPECT_EQ(layer.attention_norm->name, "blk.1.attn_norm.weight");
  EXPECT_EQ(layer.query->name, "blk.1.attn_q.weight");
  EXPECT_EQ(layer.key->name, "blk.1.attn_k.weight");
  EXPECT_EQ(layer.value->name, "blk.1.attn_v.weight");
  EXPECT_EQ(layer.output->name, "blk.1.attn_output.weight");
  EXPECT_EQ(layer.feed_forward_norm->name, "blk.1.ffn_norm.weight");
  EXPECT_EQ(layer.gate->name, "blk.1.ffn_gate.weight");
  EXPECT_EQ(layer.up->name, "blk.1.ffn_up.weight");
  EXPECT_EQ(layer.down->name, "blk.1.ffn_down.weight");
  EXPECT_THAT(layer.down->shape, ElementsAre(160, 64));
  EXPECT_EQ(layer.query_bias, nullptr);
  EXPECT_EQ(layer.key_norm, nullptr);
  EXPECT_EQ(file.vocabulary.tokens.size(), size_t{kToyVocabulary});
}

TEST(ModelFileTest, HasTheRolesOfItsArchitectureAlone) {
  ToyModel toy;
  EXPECT_EQ(Read(toy).unembedding->name, "token_embd.weight");
  toy.architecture = "qwen2";
  const ModelFile qwen2 = Read(toy);
  EXPECT_EQ(qwen2.layers[0].value_bias->name, "blk.0.attn_v.bias");
  EXPECT_EQ(qwen2.layers[0].query_norm, nullptr);
  toy.architecture = "qwen3";
  const ModelFile qwen3 = Read(toy);
  EXPECT_EQ(qwen3.layers[0].key_norm->name, "blk.0.attn_k_norm.weight");
  EXPECT_EQ(qwen3.layers[0].query_bias, nullptr);
}

TEST(ModelFileTest, KeepsItsTensorsWhereItIsMovedAndItsPagesAreDropped) {
  ModelFile first = Read({});
  const auto bytes = [](const ModelFile& file) {
    const Vector<const std::byte> data = file.layers[1].down->data;
    return std::vector<std::byte>(data.begin(), data.end());
  };
  const std::vector<std::byte> expected = bytes(first);
  const ModelFile second = std::move(first);
  second.DropPages();  // what is read next is read from the file again
  EXPECT_EQ(bytes(second), expected);
  EXPECT_GE(second.embedding, &second.tensors.front());
  EXPECT_LE(second.embedding, &second.tensors.back());
}

TEST(ModelFileTest, OnlyAFileThatIsNotThereIsNotFound) {
  EXPECT_TRUE(absl::IsNotFound(ReadGgufModel("/no/such.gguf", {}).status()));
  GgufWriter writer = MakeToyModel({});
  writer.Remove("llama.block_count");
  const std::string path = TestPath("no_block_count.gguf");
  writer.Write(path);
  const absl::Status status = ReadGgufModel(path, {}).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("'llama.block_count' is missing"));
}

}  // namespace
}  // namespace subgen
