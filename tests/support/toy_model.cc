#include "tests/support/toy_model.h"

#include "absl/strings/str_cat.h"
#include "tests/support/model_file.h"

namespace subgen {
namespace {

// In GPT-2's alphabet printable bytes stand for themselves, the others for code
// points from U+0100 on.
std::string ByteToken(int byte, int* next) {
  const bool printable = (byte >= 33 && byte <= 126) ||
                         (byte >= 161 && byte <= 172) || byte >= 174;
  const int code = printable ? byte : (*next)++;
  if (code < 128) return std::string(1, static_cast<char>(code));
  return {static_cast<char>(0xC0 | code >> 6),
          static_cast<char>(0x80 | (code & 63))};
}

void SetVocabulary(GgufWriter& writer) {
  std::vector<std::string> tokens;
  int next = 256;
  for (int byte = 0; byte < 256; ++byte) {
    tokens.push_back(ByteToken(byte, &next));
  }
  tokens.insert(tokens.end(), {"<|im_start|>", "<|im_end|>", "ab"});
  std::vector<int32_t> types(kToyVocabulary, 1);
  types[256] = types[257] = 3;
  writer.Set("tokenizer.ggml.model", "gpt2");
  writer.Set("tokenizer.ggml.pre", "smollm");
  writer.Set("tokenizer.ggml.tokens", tokens);
  writer.Set("tokenizer.ggml.token_type", types);
  writer.Set("tokenizer.ggml.merges", std::vector<std::string>{"a b"});
  writer.Set("tokenizer.ggml.bos_token_id", uint32_t{256});
  writer.Set("tokenizer.ggml.eos_token_id", uint32_t{257});
  writer.Set("tokenizer.ggml.add_bos_token", false);
  writer.Set("tokenizer.chat_template",
             "{% for message in messages %}{{'<|im_start|>' + message['role'] "
             "+ '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
             "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
             "{% endif %}");
}

void SetHyperparameters(const ToyModel& toy, GgufWriter& writer) {
  const auto key = [&](absl::string_view name) {
    return absl::StrCat(toy.architecture, ".", name);
  };
  writer.Set("general.architecture", toy.architecture);
  writer.Set("general.name", "toy");
  writer.Set(key("block_count"), static_cast<uint32_t>(toy.layers));
  writer.Set(key("context_length"), static_cast<uint32_t>(toy.context));
  writer.Set(key("embedding_length"), static_cast<uint32_t>(toy.embedding));
  writer.Set(key("feed_forward_length"),
             static_cast<uint32_t>(toy.feed_forward));
  writer.Set(key("attention.head_count"),
             static_cast<uint32_t>(toy.query_heads));
  writer.Set(key("attention.head_count_kv"),
             static_cast<uint32_t>(toy.kv_heads));
  writer.Set(key("attention.key_length"), static_cast<uint32_t>(toy.head_dim));
  writer.Set(key("attention.value_length"),
             static_cast<uint32_t>(toy.head_dim));
  writer.Set(key("rope.dimension_count"), static_cast<uint32_t>(toy.head_dim));
  writer.Set(key("rope.freq_base"), 10000.0f);
  writer.Set(key("attention.layer_norm_rms_epsilon"), 1e-5f);
}

// Returns norm gains near 1, so that a mistake in one shows.
std::vector<float> Gains(int64_t count) {
  std::vector<float> gains;
  for (int64_t i = 0; i < count; ++i) gains.push_back(0.8f + 0.05f * (i % 9));
  return gains;
}

void AddLayer(const ToyModel& toy, int layer, GgufWriter& writer) {
  const int64_t query = toy.query_heads * toy.head_dim;
  const int64_t key = toy.kv_heads * toy.head_dim;
  const auto name = [&](absl::string_view tensor) {
    return absl::StrCat("blk.", layer, ".", tensor);
  };
  const auto matrix = [&](absl::string_view tensor, int64_t cols,
                          int64_t rows) {
    writer.AddRandomTensor(name(tensor), toy.format, {cols, rows});
  };
  writer.AddFloats(name("attn_norm.weight"), Gains(toy.embedding));
  matrix("attn_q.weight", toy.embedding, query);
  matrix("attn_k.weight", toy.embedding, key);
  matrix("attn_v.weight", toy.embedding, key);
  if (toy.architecture == "qwen2") {
    writer.AddRandomTensor(name("attn_q.bias"), BlockFormat::kF32, {query});
    writer.AddRandomTensor(name("attn_k.bias"), BlockFormat::kF32, {key});
    writer.AddRandomTensor(name("attn_v.bias"), BlockFormat::kF32, {key});
  }
  if (toy.architecture == "qwen3") {
    writer.AddFloats(name("attn_q_norm.weight"), Gains(toy.head_dim));
    writer.AddFloats(name("attn_k_norm.weight"), Gains(toy.head_dim));
  }
  matrix("attn_output.weight", query, toy.embedding);
  writer.AddFloats(name("ffn_norm.weight"), Gains(toy.embedding));
  matrix("ffn_gate.weight", toy.embedding, toy.feed_forward);
  matrix("ffn_up.weight", toy.embedding, toy.feed_forward);
  matrix("ffn_down.weight", toy.feed_forward, toy.embedding);
}

}  // namespace

GgufWriter MakeToyModel(const ToyModel& toy) {
  GgufWriter writer;
  SetHyperparameters(toy, writer);
  SetVocabulary(writer);
  writer.AddRandomTensor("token_embd.weight", toy.format,
                         {toy.embedding, kToyVocabulary});
  for (int layer = 0; layer < toy.layers; ++layer) {
    AddLayer(toy, layer, writer);
  }
  writer.AddFloats("output_norm.weight", Gains(toy.embedding));
  if (!toy.tied_embeddings) {
    writer.AddRandomTensor("output.weight", toy.format,
                           {toy.embedding, kToyVocabulary});
  }
  return writer;
}

std::string WriteToyModel(const ToyModel& toy, const std::string& name) {
  const std::string path = TestPath(name + ".gguf");
  MakeToyModel(toy).Write(path);
  return path;
}

}  // namespace subgen
