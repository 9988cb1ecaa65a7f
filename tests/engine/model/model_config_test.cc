// These test what is read of the hyperparameters and tensors of a model file,
// and what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "engine/model/model_file.h"
#include "kernels/base/status_macros.h"
#include "tests/support/model_file.h"
#include "tests/support/toy_model.h"

namespace subgen {
namespace {

using testing::HasSubstr;

absl::StatusOr<ModelConfig> Read(const GgufWriter& writer,
                                 const RopeConfig& rope = {}) {
  const std::string path = TestPath("model.gguf");
  writer.Write(path);
  ASSIGN_OR_RETURN(const ModelFile file, ReadGgufModel(path, rope));
  return file.config;
}

std::string ErrorOf(const GgufWriter& writer, const RopeConfig& rope = {}) {
  return std::string(Read(writer, rope).status().message());
}

TEST(ModelConfigTest, ReadsTheThreeArchitectures) {
  for (const char* architecture : {"llama", "qwen2", "qwen3"}) {
    SCOPED_TRACE(architecture);
    ToyModel toy;
    toy.architecture = architecture;
    toy.tied_embeddings = toy.architecture != "qwen3";

    const auto config = Read(MakeToyModel(toy));

    ASSERT_TRUE(config.ok()) << config.status();
    EXPECT_EQ(config->architecture, architecture);
    EXPECT_EQ(config->name, "toy");
    EXPECT_EQ(config->layers, 2);
    EXPECT_EQ(config->embedding, 64);
    EXPECT_EQ(config->feed_forward, 160);
    EXPECT_EQ(config->query_heads, 6);
    EXPECT_EQ(config->kv_heads, 3);
    EXPECT_EQ(config->group(), 2);
    EXPECT_EQ(config->head_dim, 16);
    EXPECT_EQ(config->vocabulary, kToyVocabulary);
    EXPECT_EQ(config->context, 512);
    EXPECT_EQ(config->norm_epsilon, 1e-5f);
    EXPECT_EQ(config->tied_embeddings, toy.tied_embeddings);
    EXPECT_EQ(config->qkv_bias, toy.architecture == "qwen2");
    EXPECT_EQ(config->qk_norm, toy.architecture == "qwen3");
    EXPECT_EQ(config->rotary.interleaved, toy.architecture == "llama");
    EXPECT_EQ(config->rotary.magnitude, 1.0);
    ASSERT_EQ(config->rotary.inverse_frequency.size(), 8u);
    EXPECT_NEAR(config->rotary.inverse_frequency[4], 0.01, 1e-15);
  }
}

TEST(ModelConfigTest, DerivesWhatOlderFilesLeaveOut) {
  ToyModel toy;
  toy.query_heads = toy.kv_heads = 4;
  GgufWriter writer = MakeToyModel(toy);
  for (const char* key :
       {"attention.head_count_kv", "attention.key_length",
        "attention.value_length", "rope.dimension_count", "rope.freq_base"}) {
    writer.Remove(absl::StrCat("llama.", key));
  }
  writer.Remove("general.name");

  const auto config = Read(writer);

  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->kv_heads, 4);
  EXPECT_EQ(config->head_dim, 16);
  EXPECT_NEAR(config->rotary.inverse_frequency[4], 0.01, 1e-15);
  EXPECT_EQ(config->name, "llama");
}

TEST(ModelConfigTest, AllowsKeysThatChangeNothing) {
  GgufWriter writer = MakeToyModel(ToyModel{});
  writer.Set("general.type", "model");
  writer.Set("general.quantization_version", uint32_t{2});
  writer.Set("general.license", "apache-2.0");
  writer.Set("quantize.imatrix.file", "x");
  writer.Set("split.count", uint16_t{0});
  writer.Set("llama.vocab_size", static_cast<uint32_t>(kToyVocabulary));
  writer.Set("llama.expert_count", uint32_t{0});
  writer.Set("llama.attention.sliding_window", uint32_t{512});
  writer.Set("llama.attention.causal", true);
  writer.Set("llama.tensor_data_layout", "Meta AI original pth");
  writer.Set("llama.rope.scaling.type", "none");
  writer.Set("llama.rope.scaling.finetuned", false);
  EXPECT_TRUE(Read(writer).ok()) << Read(writer).status();
}

TEST(ModelConfigTest, ReadsTheRealModel) {
  if (!HaveSmolModel()) GTEST_SKIP() << "no model at " << SmolModelPath();
  const auto file = ReadGgufModel(SmolModelPath(), {});

  ASSERT_TRUE(file.ok()) << file.status();
  const ModelConfig* const config = &file->config;
  EXPECT_EQ(config->layers, 30);
  EXPECT_EQ(config->head_dim, 64);
  EXPECT_EQ(config->group(), 3);
  EXPECT_EQ(config->vocabulary, 49152);
  EXPECT_TRUE(config->tied_embeddings);
  EXPECT_NEAR(config->rotary.inverse_frequency[16], std::pow(1e5, -0.5), 1e-12);
}

struct Refusal {
  const char* name;
  std::function<void(GgufWriter&)> damage;
  const char* error;
};
void PrintTo(const Refusal& refusal, std::ostream* out) {
  *out << refusal.name;
}

template <class T>
std::function<void(GgufWriter&)> Set(const char* key, T value) {
  return [key, value](GgufWriter& writer) { writer.Set(key, value); };
}
std::function<void(GgufWriter&)> Remove(const char* key) {
  return [key](GgufWriter& writer) { writer.Remove(key); };
}

std::vector<Refusal> SettingRefusals() {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  return {
      {"architecture", Set("general.architecture", "mamba"),
       "general.architecture is 'mamba'; llama, qwen2 and qwen3"},
      {"adapter", Set("general.type", "adapter"), "general.type is 'adapter'"},
      {"quantization", Set("general.quantization_version", 1), "version is 1"},
      {"split", Set("split.count", 3), "split.count is 3"},
      {"no_blocks", Set("llama.block_count", 0),
       "'llama.block_count' is 0, 1 to 1024 is legal"},
      {"many_blocks", Set("llama.block_count", 1025), "is 1025"},
      {"blocks_missing", Remove("llama.block_count"), "is missing"},
      {"blocks_text", Set("llama.block_count", "two"), "is a string, not"},
      {"embedding_negative", Set("llama.embedding_length", -64), "is -64"},
      {"no_epsilon", Remove("llama.attention.layer_norm_rms_epsilon"),
       "epsilon' is missing"},
      {"epsilon_nan", Set("llama.attention.layer_norm_rms_epsilon", nan),
       "is nan"},
      {"no_heads", Set("llama.attention.head_count", 0), "is 0, 1 to 65536"},
      {"heads_not_divided", Set("llama.attention.head_count_kv", 4),
       "is 4, no divisor of the head count 6"},
      {"heads_array",
       Set("llama.attention.head_count", std::vector<int32_t>{6, 6}),
       "is an array of integers, not an integer"},
      {"embedding_not_divided", Remove("llama.attention.key_length"),
       "is 6, no divisor of the embedding length 64"},
      {"head_dim_odd", Set("llama.attention.key_length", 15), "is 15, even"},
      {"head_dim_large", Set("llama.attention.key_length", 514), "up to 512"},
      {"value_length", Set("llama.attention.value_length", 8),
       "is 8, the key length 16"},
      {"sliding_window", Set("llama.attention.sliding_window", 128),
       "'llama.attention.sliding_window' is 128; at least the context 512"},
      {"experts", Set("llama.expert_count", 8), "mixtures of experts"},
      {"not_causal", Set("llama.attention.causal", false), "is false"},
      {"layout", Set("llama.tensor_data_layout", "x"), "is 'x'"},
      {"unknown_attention", Set("llama.attention.logit_softcapping", 50.0f),
       "'llama.attention.logit_softcapping' is a setting of the model that"},
      {"unknown_rope", Set("llama.rope.scaling.yarn_attn_factor", 1.0f),
       "'llama.rope.scaling.yarn_attn_factor' is a setting"},
      {"unknown", Set("llama.residual_scale", 2.0f), "residual_scale"},
      {"vocabulary_size", Set("llama.vocab_size", 300),
       "is 300, but there are 259 tokens"},
      {"no_tokens", Remove("tokenizer.ggml.tokens"), "is missing"},
      {"tokens_empty", Set("tokenizer.ggml.tokens", std::vector<std::string>{}),
       "is empty"},
      {"tokens_few",
       Set("tokenizer.ggml.tokens", std::vector<std::string>{"a"}),
       "'token_embd.weight' has shape [64, 259], the hyperparameters say"},
  };
}

std::vector<Refusal> RopeRefusals() {
  const double infinity = std::numeric_limits<double>::infinity();
  return {
      {"rope_odd", Set("llama.rope.dimension_count", 7), "is 7, an even"},
      {"rope_wide", Set("llama.rope.dimension_count", 18), "is 18, 2 to 16"},
      {"rope_base", Set("llama.rope.freq_base", 0.0f), "is 0, 2 to 1e+12"},
      {"rope_infinite", Set("llama.rope.freq_base", infinity), "is inf"},
      {"rope_type", Set("llama.rope.scaling.type", "longrope"),
       "is 'longrope'; none, linear and yarn"},
      {"rope_factor", Set("llama.rope.scaling.factor", 0.5f), "is 0.5, 1 to"},
      {"rope_attention", Set("llama.rope.scaling.attn_factor", 2.0f),
       "supported with yarn only"},
  };
}

std::vector<Refusal> TensorRefusals() {
  const auto remove = [](const char* name) {
    return [name](GgufWriter& writer) { writer.RemoveTensor(name); };
  };
  const auto add = [](const char* name, BlockFormat format,
                      std::vector<int64_t> shape) {
    return [=](GgufWriter& w) { w.AddRandomTensor(name, format, shape); };
  };
  constexpr BlockFormat kF32 = BlockFormat::kF32, kQ8 = BlockFormat::kQ8_0;
  return {
      {"missing", remove("blk.1.ffn_up.weight"),
       "tensor 'blk.1.ffn_up.weight' is missing"},
      {"no_embedding", remove("token_embd.weight"), "is missing"},
      {"no_norm", remove("output_norm.weight"), "is missing"},
      {"left_over", add("blk.2.ffn_up.weight", kQ8, {64, 160}),
       "'blk.2.ffn_up.weight' does not belong"},
      {"bias", add("blk.0.attn_q.bias", kF32, {96}), "does not belong"},
      {"transposed", add("blk.0.ffn_up.weight", kQ8, {160, 64}),
       "'blk.0.ffn_up.weight' has shape [160, 64], the hyperparameters say "
       "[64, 160]"},
      {"too_deep", add("blk.0.attn_v.weight", kQ8, {64, 48, 1}),
       "has shape [64, 48, 1]"},
      {"vector_quantized", add("blk.0.attn_norm.weight", kQ8, {64}),
       "is a vector in Q8_0; F32, F16 and BF16 are legal"},
      {"output", add("output.weight", kQ8, {64, 258}), "has shape [64, 258]"},
      {"divisors_many", add("rope_freqs.weight", kF32, {16}),
       "'rope_freqs.weight' must be 8 numbers"},
      {"divisors_zero",
       [](GgufWriter& w) {
         w.AddFloats("rope_freqs.weight", {1, 1, 1, 0, 1, 1, 1, 1});
       },
       "contains 0, finite positive"},
  };
}

class ModelConfigRefusal : public testing::TestWithParam<Refusal> {};

TEST_P(ModelConfigRefusal, NamesWhatIsWrong) {
  GgufWriter writer = MakeToyModel(ToyModel{});
  GetParam().damage(writer);
  const std::string error = ErrorOf(writer);
  EXPECT_THAT(error, HasSubstr(GetParam().error));
  EXPECT_THAT(error, testing::StartsWith(TestPath("model.gguf") + ": "));
}

const auto kName = [](const auto& info) { return info.param.name; };
INSTANTIATE_TEST_SUITE_P(Settings, ModelConfigRefusal,
                         testing::ValuesIn(SettingRefusals()), kName);
INSTANTIATE_TEST_SUITE_P(Rope, ModelConfigRefusal,
                         testing::ValuesIn(RopeRefusals()), kName);
INSTANTIATE_TEST_SUITE_P(Tensors, ModelConfigRefusal,
                         testing::ValuesIn(TensorRefusals()), kName);

// Returns the frequency of pair 4 of 8, 0.01 unscaled (base 10000).
double MiddleFrequency(const GgufWriter& writer, const RopeConfig& rope = {}) {
  const auto config = Read(writer, rope);
  EXPECT_TRUE(config.ok()) << config.status();
  return config.ok() ? config->rotary.inverse_frequency[4] : 0.0;
}

TEST(ModelConfigRopeTest, ReadsScalingFromTheFile) {
  GgufWriter linear = MakeToyModel(ToyModel{});
  linear.Set("llama.rope.scale_linear", 2.0f);
  EXPECT_NEAR(MiddleFrequency(linear), 0.005, 1e-15);
  linear.Set("llama.rope.scaling.type", "linear");
  linear.Set("llama.rope.scaling.factor", 4.0f);  // newer, so it wins
  EXPECT_NEAR(MiddleFrequency(linear), 0.0025, 1e-15);
  linear.Set("llama.rope.scaling.type", "none");
  EXPECT_THAT(ErrorOf(linear),
              HasSubstr("is 4, but rope.scaling.type is none"));

  GgufWriter divided = MakeToyModel(ToyModel{});
  divided.AddFloats("rope_freqs.weight", {1, 1, 1, 1, 8, 1, 1, 1});
  EXPECT_NEAR(MiddleFrequency(divided), 0.00125, 1e-15);

  GgufWriter yarn = MakeToyModel(ToyModel{});
  yarn.Set("llama.rope.scaling.type", "yarn");
  yarn.Set("llama.rope.scaling.factor", 4.0f);
  yarn.Set("llama.rope.scaling.original_context_length", 128);
  // The pairs of 32 full circles and of 1 are -0.39 and 2.62, so the ramp goes
  // from 0 to 3 and pair 4 is stretched whole, pair 1 by a third.
  EXPECT_NEAR(MiddleFrequency(yarn), 0.0025, 1e-15);
  const auto config = Read(yarn);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_NEAR(config->rotary.inverse_frequency[1],
              std::pow(10.0, -0.5) * (2.0 / 3 + 1.0 / 3 / 4), 1e-14);
  EXPECT_NEAR(config->rotary.magnitude, 1.0 + 0.1 * std::log(4.0), 1e-15);
}

TEST(ModelConfigRopeTest, ANamedScalingReplacesTheFiles) {
  GgufWriter writer = MakeToyModel(ToyModel{});
  writer.AddFloats("rope_freqs.weight", {1, 1, 1, 1, 8, 1, 1, 1});
  writer.Set("llama.rope.scaling.factor", 2.0f);
  EXPECT_NEAR(MiddleFrequency(writer), 0.01 / 16, 1e-15);

  EXPECT_NEAR(MiddleFrequency(writer, {.scaling = "none"}), 0.01, 1e-15);
  EXPECT_NEAR(MiddleFrequency(writer, {.scaling = "linear", .factor = 4}),
              0.0025, 1e-15);
  // 512 tokens are 0.81 full circles of the pair: below one, so it is stretched
  // whole.
  EXPECT_NEAR(MiddleFrequency(writer, {.scaling = "llama3", .factor = 4}),
              0.0025, 1e-15);
  // 2.5 full circles lie in the middle between 1 and 4.
  const int64_t context = 1571;  // 2.5 * 2 pi / 0.01 = 1570.8
  EXPECT_NEAR(MiddleFrequency(writer, {.scaling = "llama3",
                                       .factor = 4,
                                       .original_context = context}),
              0.01 * (0.5 + 0.5 / 4), 1e-5);
  EXPECT_NEAR(
      MiddleFrequency(writer, {.scaling = "none", .frequency_base = 1000000}),
      0.001, 1e-15);
  EXPECT_NEAR(MiddleFrequency(writer, {.scaling = "", .factor = 4}), 0.01 / 32,
              1e-15);
}

TEST(ModelConfigRopeTest, RefusesSettingsOutOfRange) {
  const GgufWriter writer = MakeToyModel(ToyModel{});
  EXPECT_THAT(ErrorOf(writer, {.scaling = "ntk", .factor = 2}),
              HasSubstr("rope.scaling: 'ntk', legal are none, linear"));
  EXPECT_THAT(ErrorOf(writer, {.scaling = "linear"}),
              HasSubstr("rope.factor: 0, 1 to 1e+06 is legal"));
  EXPECT_THAT(ErrorOf(writer, {.scaling = "yarn", .factor = 0.5}),
              HasSubstr("rope.factor: 0.5"));
  EXPECT_THAT(ErrorOf(writer, {.scaling = "", .factor = 2}),
              HasSubstr("need rope.scaling"));
  EXPECT_THAT(ErrorOf(writer, {.scaling = "", .original_context = 2}),
              HasSubstr("need rope.scaling"));
  EXPECT_THAT(ErrorOf(writer, {.scaling = "", .frequency_base = -1}),
              HasSubstr("rope.frequency_base: -1"));
  EXPECT_THAT(
      ErrorOf(writer, {.scaling = "yarn", .factor = 2, .original_context = -5}),
      HasSubstr("rope.original_context: -5"));
}

}  // namespace
}  // namespace subgen
