// Keys follow llama.cpp's GGUF convention.
#include "engine/model/gguf/gguf_config.h"

#include "absl/strings/str_cat.h"
#include "engine/model/gguf/hyperparameters.h"
#include "engine/model/gguf/rope_reader.h"
#include "engine/model/rope_scaling.h"
#include "kernels/base/quoted.h"
#include "kernels/base/status_macros.h"

namespace subgen {
namespace {

constexpr int64_t kMaxHeadDim = 512;
constexpr Hyperparameters::Bounds kSize = {1, 1 << 30};  // ids fit an int

absl::Status SetArchitecture(const GgufFile& file, ModelConfig& config) {
  if (config.architecture == "qwen2") {
    config.qkv_bias = true;
  } else if (config.architecture == "qwen3") {
    config.qk_norm = true;
  } else if (config.architecture != "llama") {
    return absl::InvalidArgumentError(absl::StrCat(
        file.path(), ": general.architecture is ", Quoted(config.architecture),
        "; llama, qwen2 and qwen3 are supported"));
  }
  return absl::OkStatus();
}

// These are keys outside the architecture that would change what the file
// means. The others, such as general.license, do not reach the arithmetic;
// tokenizer.* is checked with the tokenizer.
absl::Status CheckGeneral(const GgufFile& file) {
  const auto error = [&](const auto&... message) {
    return absl::InvalidArgumentError(
        absl::StrCat(file.path(), ": ", message...));
  };
  if (file.Has("general.type")) {
    ASSIGN_OR_RETURN(const auto type, file.String("general.type"));
    if (type != "model") {
      return error("general.type is ", Quoted(type), ", 'model' is legal");
    }
  }
  if (file.Has("general.quantization_version")) {
    ASSIGN_OR_RETURN(const auto version,
                     file.Integer("general.quantization_version"));
    if (version != 2) {
      return error("general.quantization_version is ", version, ", 2 is legal");
    }
  }
  // A file that was split and joined again says 0.
  if (file.Has("split.count")) {
    ASSIGN_OR_RETURN(const auto count, file.Integer("split.count"));
    if (count > 1) {
      return error("split.count is ", count,
                   ": one part of a model; join the parts first");
    }
  }
  return absl::OkStatus();
}

absl::Status ReadSizes(Hyperparameters& keys, ModelConfig& config) {
  ASSIGN_OR_RETURN(config.layers, keys.Integer("block_count", {1, 1024}));
  ASSIGN_OR_RETURN(config.embedding, keys.Integer("embedding_length", kSize));
  ASSIGN_OR_RETURN(config.feed_forward,
                   keys.Integer("feed_forward_length", kSize));
  ASSIGN_OR_RETURN(config.context, keys.Integer("context_length", kSize));
  ASSIGN_OR_RETURN(config.norm_epsilon,
                   keys.Number("attention.layer_norm_rms_epsilon", {0, 1}));
  return absl::OkStatus();
}

absl::Status ReadHeads(Hyperparameters& keys, ModelConfig& config) {
  const Hyperparameters::Bounds heads = {1, 65536};
  ASSIGN_OR_RETURN(config.query_heads,
                   keys.Integer("attention.head_count", heads));
  ASSIGN_OR_RETURN(config.kv_heads, keys.IntegerOr("attention.head_count_kv",
                                                   heads, config.query_heads));
  if (config.query_heads % config.kv_heads != 0) {
    return keys.Refuse(
        "attention.head_count_kv",
        absl::StrCat("is ", config.kv_heads, ", no divisor of the head count ",
                     config.query_heads));
  }
  const int64_t head_dim = config.embedding / config.query_heads;
  ASSIGN_OR_RETURN(config.head_dim,
                   keys.IntegerOr("attention.key_length", kSize, head_dim));
  if (!keys.Has("attention.key_length") &&
      config.embedding % config.query_heads != 0) {
    return keys.Refuse("attention.head_count",
                       absl::StrCat("is ", config.query_heads,
                                    ", no divisor of the embedding length ",
                                    config.embedding));
  }
  if (config.head_dim % 2 != 0 || config.head_dim < 2 ||
      config.head_dim > kMaxHeadDim) {
    return keys.Refuse("attention.key_length",
                       absl::StrCat("or the embedding length over the head "
                                    "count is ",
                                    config.head_dim, ", even numbers up to ",
                                    kMaxHeadDim, " are legal"));
  }
  ASSIGN_OR_RETURN(
      const int64_t value_dim,
      keys.IntegerOr("attention.value_length", kSize, config.head_dim));
  if (value_dim != config.head_dim) {
    return keys.Refuse("attention.value_length",
                       absl::StrCat("is ", value_dim, ", the key length ",
                                    config.head_dim, " is supported"));
  }
  return absl::OkStatus();
}

// These are settings that the engine knows only in the one value that changes
// nothing.
absl::Status CheckSwitches(const GgufFile& file, Hyperparameters& keys,
                           int64_t context) {
  ASSIGN_OR_RETURN(const auto window,
                   keys.IntegerOr("attention.sliding_window", {0, 1 << 30}, 0));
  if (window != 0 && window < context) {
    return keys.Refuse("attention.sliding_window",
                       absl::StrCat("is ", window, "; at least the context ",
                                    context, " is supported, or 0"));
  }
  for (const char* key : {"expert_count", "expert_used_count"}) {
    ASSIGN_OR_RETURN(const auto experts, keys.IntegerOr(key, {0, 1 << 30}, 0));
    if (experts != 0) {
      return keys.Refuse(key, absl::StrCat("is ", experts,
                                           ", mixtures of experts are not "
                                           "supported"));
    }
  }
  if (keys.Has("attention.causal")) {
    ASSIGN_OR_RETURN(const bool causal,
                     file.Bool(keys.architecture() + ".attention.causal"));
    if (!causal) return keys.Refuse("attention.causal", "is false");
  }
  const absl::string_view kLayout = "Meta AI original pth";
  ASSIGN_OR_RETURN(const std::string layout,
                   keys.TextOr("tensor_data_layout", kLayout));
  if (layout != kLayout) {
    return keys.Refuse(
        "tensor_data_layout",
        absl::StrCat("is ", Quoted(layout), "; '", kLayout, "' is supported"));
  }
  return absl::OkStatus();
}

// Reads the one number of tokens, which is said in up to three places.
absl::Status ReadVocabularySize(const GgufFile& file, Hyperparameters& keys,
                                ModelConfig& config) {
  ASSIGN_OR_RETURN(const auto* tokens, file.Strings("tokenizer.ggml.tokens"));
  config.vocabulary = tokens->size();
  if (tokens->empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(file.path(), ": tokenizer.ggml.tokens is empty"));
  }
  ASSIGN_OR_RETURN(const auto size,
                   keys.IntegerOr("vocab_size", kSize, config.vocabulary));
  if (size != config.vocabulary) {
    return keys.Refuse("vocab_size",
                       absl::StrCat("is ", size, ", but there are ",
                                    config.vocabulary, " tokens"));
  }
  config.tied_embeddings = file.FindTensor("output.weight") == nullptr;
  return absl::OkStatus();
}

absl::Status ReadName(const GgufFile& file, ModelConfig& config) {
  if (!file.Has("general.name")) {
    config.name = config.architecture;
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const auto name, file.String("general.name"));
  config.name = std::string(name);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ModelConfig> ReadGgufConfig(const GgufFile& file,
                                           const RopeConfig& rope) {
  Hyperparameters keys(file);
  ModelConfig config;
  config.architecture = keys.architecture();
  RETURN_IF_ERROR(SetArchitecture(file, config));
  RETURN_IF_ERROR(CheckGeneral(file));
  RETURN_IF_ERROR(ReadName(file, config));
  RETURN_IF_ERROR(ReadSizes(keys, config));
  RETURN_IF_ERROR(ReadHeads(keys, config));
  RETURN_IF_ERROR(CheckSwitches(file, keys, config.context));
  RETURN_IF_ERROR(ReadVocabularySize(file, keys, config));
  ASSIGN_OR_RETURN(RopeParameters rotary,
                   ReadRope(file, keys, config.head_dim, rope));
  RETURN_IF_ERROR(keys.RefuseOthers());
  // Files of llama models have their query and key rows permuted for pairs of
  // neighbors; the others keep halves.
  rotary.interleaved = config.architecture == "llama";
  config.rotary = MakeRotary(rotary);
  return config;
}

}  // namespace subgen
