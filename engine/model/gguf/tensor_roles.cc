#include "engine/model/gguf/tensor_roles.h"

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "kernels/base/quoted.h"
#include "kernels/base/status_macros.h"

namespace subgen {
namespace {

// Finds the tensors of a model by name, and notes which were asked for.
class TensorFinder {
 public:
  explicit TensorFinder(const ModelFile& model) : model_(model) {
    for (const ModelTensor& tensor : model.tensors) {
      by_name_[tensor.name] = &tensor;
    }
  }

  absl::Status Find(const std::string& name, const std::vector<int64_t>& shape,
                    const ModelTensor** role) {
    expected_.insert(name);
    const auto found = by_name_.find(name);
    if (found == by_name_.end()) return Error(name, "is missing");
    const ModelTensor& tensor = *found->second;
    if (tensor.shape != shape) {
      return Error(
          name, absl::StrCat("has shape [", absl::StrJoin(tensor.shape, ", "),
                             "], the hyperparameters say [",
                             absl::StrJoin(shape, ", "), "]"));
    }
    if (shape.size() == 1 && BlockSize(tensor.format) != 1) {
      return Error(
          name, absl::StrCat("is a vector in ", BlockFormatName(tensor.format),
                             "; F32, F16 and BF16 are legal"));
    }
    *role = &tensor;
    return absl::OkStatus();
  }
  void Allow(const std::string& name) { expected_.insert(name); }

  absl::Status RefuseOthers() const {
    for (const ModelTensor& tensor : model_.tensors) {
      if (expected_.count(tensor.name) == 0) {
        return Error(tensor.name, "does not belong to the architecture");
      }
    }
    return absl::OkStatus();
  }

 private:
  absl::Status Error(absl::string_view name, absl::string_view message) const {
    return absl::InvalidArgumentError(
        absl::StrCat(model_.path, ": tensor ", Quoted(name), " ", message));
  }

  const ModelFile& model_;
  std::map<absl::string_view, const ModelTensor*> by_name_;
  std::set<std::string> expected_;
};

absl::Status AssignLayer(const ModelConfig& config, const std::string& prefix,
                         TensorFinder& finder, LayerTensors& layer) {
  const int64_t queries = config.query_heads * config.head_dim;
  const int64_t keys = config.kv_heads * config.head_dim;
  const int64_t embedding = config.embedding, hidden = config.feed_forward;
  struct Part {
    const char* name;
    std::vector<int64_t> shape;
    const ModelTensor** role;
  };
  std::vector<Part> parts = {
      {"attn_norm.weight", {embedding}, &layer.attention_norm},
      {"attn_q.weight", {embedding, queries}, &layer.query},
      {"attn_k.weight", {embedding, keys}, &layer.key},
      {"attn_v.weight", {embedding, keys}, &layer.value},
      {"attn_output.weight", {queries, embedding}, &layer.output},
      {"ffn_norm.weight", {embedding}, &layer.feed_forward_norm},
      {"ffn_gate.weight", {embedding, hidden}, &layer.gate},
      {"ffn_up.weight", {embedding, hidden}, &layer.up},
      {"ffn_down.weight", {hidden, embedding}, &layer.down}};
  if (config.qkv_bias) {
    parts.push_back({"attn_q.bias", {queries}, &layer.query_bias});
    parts.push_back({"attn_k.bias", {keys}, &layer.key_bias});
    parts.push_back({"attn_v.bias", {keys}, &layer.value_bias});
  }
  if (config.qk_norm) {
    const int64_t head_dim = config.head_dim;
    parts.push_back({"attn_q_norm.weight", {head_dim}, &layer.query_norm});
    parts.push_back({"attn_k_norm.weight", {head_dim}, &layer.key_norm});
  }
  for (const Part& part : parts) {
    RETURN_IF_ERROR(finder.Find(prefix + part.name, part.shape, part.role));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status AssignTensors(ModelFile* model) {
  const ModelConfig& config = model->config;
  TensorFinder finder(*model);
  const std::vector<int64_t> table = {config.embedding, config.vocabulary};
  RETURN_IF_ERROR(finder.Find("token_embd.weight", table, &model->embedding));
  RETURN_IF_ERROR(finder.Find("output_norm.weight", {config.embedding},
                              &model->output_norm));
  model->unembedding = model->embedding;
  if (!config.tied_embeddings) {
    RETURN_IF_ERROR(finder.Find("output.weight", table, &model->unembedding));
  }
  finder.Allow("rope_freqs.weight");  // checked where it is read
  model->layers.assign(config.layers, {});
  for (int layer = 0; layer < config.layers; ++layer) {
    RETURN_IF_ERROR(AssignLayer(config, absl::StrCat("blk.", layer, "."),
                                finder, model->layers[layer]));
  }
  return finder.RefuseOthers();
}

}  // namespace subgen
