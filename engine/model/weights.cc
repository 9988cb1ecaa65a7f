#include "engine/model/weights.h"

#include "kernels/base/check.h"

namespace subgen {
namespace {

class Loader {
 public:
  Loader(const ModelFile& file, const ShardPlan& plan, Mirror* mirror)
      : file_(file), plan_(plan), mirror_(mirror) {}

  Weights Load();

 private:
  LayerWeights LoadLayer(const LayerTensors& tensors);
  // Returns a vector as floats, or `range` of it; it is empty where there is
  // none.
  Buffer<float> Floats(const ModelTensor* tensor) const;
  Buffer<float> Floats(const ModelTensor* tensor, Range range) const;
  WeightMatrix Whole(const ModelTensor* tensor) const;
  WeightMatrix Rows(const ModelTensor* tensor, Range range);
  WeightMatrix Columns(const ModelTensor* tensor, Range range);
  WeightMatrix Count(WeightMatrix matrix);

  const ModelFile& file_;
  const ShardPlan& plan_;
  Mirror* const mirror_;
  int64_t bytes_ = 0;
};

Buffer<float> Loader::Floats(const ModelTensor* tensor) const {
  if (tensor == nullptr) return {};
  return Floats(tensor, {0, tensor->shape[0]});
}

Buffer<float> Loader::Floats(const ModelTensor* tensor, Range range) const {
  if (tensor == nullptr) return {};
  // A range could begin inside a block; the reader of the file has refused
  // vectors in blocks.
  SUBGEN_CHECK(BlockSize(tensor->format) == 1, tensor->name);
  Buffer<float> floats(range.count, mirror_);
  Dequantize(tensor->format,
             tensor->data.data() + range.first * BlockBytes(tensor->format),
             floats.span());
  // The device's copy is older than what the host has just written.
  if (mirror_ != nullptr) {
    mirror_->WrittenByHost(floats.data(), floats.bytes());
  }
  return floats;
}

WeightMatrix Loader::Whole(const ModelTensor* tensor) const {
  WeightMatrix matrix{tensor->format, tensor->data.data(), tensor->shape[1],
                      tensor->shape[0], 0};
  matrix.row_stride = matrix.row_bytes();
  return matrix;
}

WeightMatrix Loader::Rows(const ModelTensor* tensor, Range range) {
  return Count(Whole(tensor).RowRange(range.first, range.count));
}

WeightMatrix Loader::Columns(const ModelTensor* tensor, Range range) {
  return Count(Whole(tensor).ColumnRange(range.first, range.count));
}

WeightMatrix Loader::Count(WeightMatrix matrix) {
  bytes_ += matrix.rows * matrix.row_bytes();
  return matrix;
}

LayerWeights Loader::LoadLayer(const LayerTensors& tensors) {
  const int64_t head_dim = file_.config.head_dim;
  // Query, key and value have a row for each number of a head, so a rank's
  // heads are whole rows of them; the output projection has a column for each.
  const Range query{plan_.query_heads.first * head_dim,
                    plan_.query_heads.count * head_dim};
  const Range key{plan_.kv_heads.first * head_dim,
                  plan_.kv_heads.count * head_dim};
  LayerWeights weights;
  weights.attention_norm = Floats(tensors.attention_norm);
  weights.query = Rows(tensors.query, query);
  weights.key = Rows(tensors.key, key);
  weights.value = Rows(tensors.value, key);
  weights.query_bias = Floats(tensors.query_bias, query);
  weights.key_bias = Floats(tensors.key_bias, key);
  weights.value_bias = Floats(tensors.value_bias, key);
  // All heads have the same gains, so these are not cut.
  weights.query_norm = Floats(tensors.query_norm);
  weights.key_norm = Floats(tensors.key_norm);
  weights.output = Columns(tensors.output, plan_.output_columns);
  weights.feed_forward_norm = Floats(tensors.feed_forward_norm);
  weights.gate = Rows(tensors.gate, plan_.feed_forward);
  weights.up = Rows(tensors.up, plan_.feed_forward);
  weights.down = Columns(tensors.down, plan_.feed_forward);
  return weights;
}

Weights Loader::Load() {
  Weights weights;
  // Each rank looks up every token, as all have all hidden features.
  weights.embedding = Whole(file_.embedding);
  for (const LayerTensors& tensors : file_.layers) {
    weights.layers.push_back(LoadLayer(tensors));
  }
  weights.output_norm = Floats(file_.output_norm);
  weights.unembedding = Rows(file_.unembedding, plan_.vocabulary);
  weights.bytes = bytes_;
  return weights;
}

}  // namespace

Weights LoadWeights(const ModelFile& file, const ShardPlan& plan,
                    Mirror* mirror) {
  return Loader(file, plan, mirror).Load();
}

}  // namespace subgen
