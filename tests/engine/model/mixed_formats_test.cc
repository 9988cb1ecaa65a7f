// Files are as people have them: matrices of several formats. The tests count
// which kernels their products take, and compare logits with the reference
// backend.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "absl/strings/str_cat.h"
#include "comm/communicator.h"
#include "engine/model/transformer.h"
#include "kernels/cpu/dense/linear.h"
#include "kernels/cpu/tiles/instruction_sets.h"
#include "tests/support/toy_model.h"

namespace subgen {
namespace {

using cpu::LinearKernel;

constexpr int kLayers = 2;
constexpr int kMatricesOfLayer = 7;

// This is a model all of one format, with these instead of it.
struct Mix {
  std::string name;
  BlockFormat format;
  std::map<std::string, BlockFormat> others;
  // These are counted by hand, of 2 layers of 7 matrices and the tied
  // embedding.
  int integer_tiles = 0, float_tiles = 0;
};

std::vector<Mix> Mixes() {
  using F = BlockFormat;
  return {{"Q4_K_M",
           F::kQ4_K,
           {{"token_embd.weight", F::kQ6_K},
            {"blk.1.attn_v.weight", F::kQ6_K},
            {"blk.1.ffn_down.weight", F::kQ6_K}},
           15,
           0},
          {"Q5_K_M",
           F::kQ5_K,
           {{"token_embd.weight", F::kQ6_K},
            {"blk.0.attn_v.weight", F::kQ6_K},
            {"blk.0.ffn_down.weight", F::kQ6_K}},
           15,
           0},
          {"Mixed",
           F::kIQ4_XS,
           {{"token_embd.weight", F::kQ8_0},
            {"blk.0.attn_q.weight", F::kQ4_0},
            {"blk.0.attn_k.weight", F::kBF16},
            {"blk.0.attn_v.weight", F::kIQ4_NL},
            {"blk.0.attn_output.weight", F::kQ5_0},
            {"blk.1.attn_output.weight", F::kF16},
            {"blk.1.ffn_down.weight", F::kQ5_1},
            {"blk.1.ffn_up.weight", F::kQ4_1}},
           13,
           2}};
}

std::string WriteMix(const Mix& mix) {
  ToyModel toy;
  toy.layers = kLayers;
  toy.embedding = toy.feed_forward = 256;
  toy.query_heads = 4;
  toy.kv_heads = 2;
  toy.head_dim = 64;
  toy.format = mix.format;
  GgufWriter writer = MakeToyModel(toy);
  for (const auto& [name, format] : mix.others) {
    const bool narrow = name.find("attn_v") != std::string::npos ||
                        name.find("attn_k") != std::string::npos;
    const int64_t rows = name == "token_embd.weight" ? kToyVocabulary
                         : narrow                    ? 128
                                                     : 256;
    writer.AddRandomTensor(name, format, {256, rows});
  }
  // Tests run side by side.
  const auto* const test =
      testing::UnitTest::GetInstance()->current_test_info();
  const std::string path =
      absl::StrCat(testing::TempDir(), test->name(), mix.name, ".gguf");
  writer.Write(path);
  return path;
}

TEST(MixedFormats, TakeNoSlowProducts) {
  for (const std::string& set : cpu::InstructionSetsOfMachine()) {
    ASSERT_TRUE(cpu::UseInstructionSet(set).ok());
    const bool has_tiles = cpu::InstructionSetInUse().tiles != nullptr;
    for (const Mix& mix : Mixes()) {
      const auto file = ReadGgufModel(WriteMix(mix), {});
      ASSERT_TRUE(file.ok()) << file.status();
      std::map<LinearKernel, int> counts;
      for (const ModelTensor& tensor : file->tensors) {
        if (tensor.shape.size() != 2) continue;
        ++counts[cpu::KernelOf({tensor.format, tensor.data.data(),
                                tensor.shape[1], tensor.shape[0], 0})];
      }
      EXPECT_EQ(counts[LinearKernel::kIntegerTiles],
                has_tiles ? mix.integer_tiles : 0)
          << mix.name << " " << set;
      EXPECT_EQ(counts[LinearKernel::kFloatTiles],
                has_tiles ? mix.float_tiles : 0)
          << mix.name << " " << set;
      EXPECT_EQ(counts[LinearKernel::kExpanded],
                has_tiles ? 0 : kLayers * kMatricesOfLayer + 1)
          << mix.name << " " << set;
    }
  }
  ASSERT_TRUE(cpu::UseInstructionSet("auto").ok());
}

std::vector<float> Logits(const std::string& path, Backend& backend) {
  const auto file = ReadGgufModel(path, {});
  CacheConfig cache;
  cache.row_format = "f32";
  const auto shape = PlanGrid({}, 1, file->config.kv_heads);
  RankGrid grid = MakeGrid(*shape, MakeSingleRank());
  const auto transformer =
      Transformer::Make(*file, {cache, {}, 256, 64, 1}, grid, backend);
  EXPECT_TRUE(transformer.ok()) << transformer.status();
  std::vector<float> logits;
  const auto add = [&](const Batch& step) {
    const Matrix<const float> rows = (*transformer)->Forward(step);
    logits.insert(logits.end(), rows.row(0).begin(), rows.row(0).end());
  };
  std::vector<int> prompt;
  for (int i = 0; i < 21; ++i) prompt.push_back(i * i % kToyVocabulary);
  add({{0, 0, prompt, true, true}});
  for (int i = 21; i < 24; ++i) add({{0, i, {i}, true, true}});
  return logits;
}

// First comes a prompt, whose tokens go together, then tokens one by one.
TEST(MixedFormats, HaveTheLogitsOfTheReference) {
  for (const Mix& mix : Mixes()) {
    const std::string path = WriteMix(mix);
    const auto expected = Logits(path, *MakeReferenceBackend());
    float largest = 0.0f;
    for (const float x : expected) largest = std::max(largest, std::abs(x));
    for (const std::string& set : cpu::InstructionSetsOfMachine()) {
      ASSERT_TRUE(cpu::UseInstructionSet(set).ok());
      const auto actual = Logits(path, *MakeCpuBackend(2));
      ASSERT_EQ(actual.size(), expected.size());
      for (size_t i = 0; i < actual.size(); ++i) {
        // Tokens are rounded to 2^-16 of their largest numbers, in some thirty
        // products one after another.
        ASSERT_NEAR(actual[i], expected[i], 30 * 0x1p-15f * largest)
            << mix.name << " " << set << " " << i;
      }
    }
    ASSERT_TRUE(cpu::UseInstructionSet("auto").ok());
  }
}

}  // namespace
}  // namespace subgen
