#include "engine/model/weights.h"

#include "absl/strings/str_cat.h"

namespace subgen {
namespace {

class Loader {
 public:
  Loader(const GgufFile& file, const ModelConfig& config, const ShardPlan& plan,
         Mirror* mirror)
      : file_(file), config_(config), plan_(plan), mirror_(mirror) {}

  Weights Load();

 private:
  LayerWeights LoadLayer(int layer);
  const GgufTensor& Tensor(const std::string& name) const;
  // A vector as floats, or `range` of it.
  Buffer<float> Floats(const std::string& name) const;
  Buffer<float> Floats(const std::string& name, Range range) const;
  WeightMatrix Whole(const std::string& name) const;
  WeightMatrix Count(WeightMatrix matrix);

  const GgufFile& file_;
  const ModelConfig& config_;
  const ShardPlan& plan_;
  Mirror* const mirror_;
  int64_t bytes_ = 0;
};

const GgufTensor& Loader::Tensor(const std::string& name) const {
  const GgufTensor* tensor = file_.FindTensor(name);
  SUBGEN_CHECK(tensor != nullptr, name);
  return *tensor;
}

Buffer<float> Loader::Floats(const std::string& name) const {
  return Floats(name, {0, Tensor(name).shape[0]});
}

Buffer<float> Loader::Floats(const std::string& name, Range range) const {
  const GgufTensor& tensor = Tensor(name);
  SUBGEN_CHECK(BlockSize(tensor.format) == 1, name);
  Buffer<float> floats(range.count, mirror_);
  Dequantize(tensor.format,
             tensor.data.data() + range.first * BlockBytes(tensor.format),
             floats.span());
  if (mirror_ != nullptr) {
    mirror_->WrittenByHost(floats.data(), floats.bytes());
  }
  return floats;
}

WeightMatrix Loader::Whole(const std::string& name) const {
  const GgufTensor& tensor = Tensor(name);
  WeightMatrix matrix{tensor.format, tensor.data.data(), tensor.shape[1],
                      tensor.shape[0], 0};
  matrix.row_stride = matrix.row_bytes();
  return matrix;
}

WeightMatrix Loader::Count(WeightMatrix matrix) {
  bytes_ += matrix.rows * matrix.row_bytes();
  return matrix;
}

LayerWeights Loader::LoadLayer(int layer) {
  const std::string block = absl::StrCat("blk.", layer, ".");
  const int64_t head_dim = config_.head_dim;
  const Range query{plan_.query_heads.first * head_dim,
                    plan_.query_heads.count * head_dim};
  const Range key{plan_.kv_heads.first * head_dim,
                  plan_.kv_heads.count * head_dim};
  const Range hidden = plan_.feed_forward;
  const auto rows = [&](absl::string_view name, Range range) {
    return Count(Whole(absl::StrCat(block, name, ".weight"))
                     .RowRange(range.first, range.count));
  };
  const auto columns = [&](absl::string_view name, Range range) {
    return Count(Whole(absl::StrCat(block, name, ".weight"))
                     .ColumnRange(range.first, range.count));
  };

  LayerWeights weights;
  weights.attention_norm = Floats(block + "attn_norm.weight");
  weights.query = rows("attn_q", query);
  weights.key = rows("attn_k", key);
  weights.value = rows("attn_v", key);
  if (config_.qkv_bias) {
    weights.query_bias = Floats(block + "attn_q.bias", query);
    weights.key_bias = Floats(block + "attn_k.bias", key);
    weights.value_bias = Floats(block + "attn_v.bias", key);
  }
  if (config_.qk_norm) {
    weights.query_norm = Floats(block + "attn_q_norm.weight");
    weights.key_norm = Floats(block + "attn_k_norm.weight");
  }
  weights.output = columns("attn_output", plan_.output_columns);
  weights.feed_forward_norm = Floats(block + "ffn_norm.weight");
  weights.gate = rows("ffn_gate", hidden);
  weights.up = rows("ffn_up", hidden);
  weights.down = columns("ffn_down", hidden);
  return weights;
}

Weights Loader::Load() {
  Weights weights;
  weights.embedding = Whole("token_embd.weight");
  for (int layer = 0; layer < config_.layers; ++layer) {
    weights.layers.push_back(LoadLayer(layer));
  }
  weights.output_norm = Floats("output_norm.weight");
  weights.unembedding = Count(
      Whole(config_.tied_embeddings ? "token_embd.weight" : "output.weight")
          .RowRange(plan_.vocabulary.first, plan_.vocabulary.count));
  weights.bytes = bytes_;
  return weights;
}

}  // namespace

Weights LoadWeights(const GgufFile& file, const ModelConfig& config,
                    const ShardPlan& plan, Mirror* mirror) {
  return Loader(file, config, plan, mirror).Load();
}

}  // namespace subgen
