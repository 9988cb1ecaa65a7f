#include "engine/model/model_tensors.h"

#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "engine/model/gguf_cursor.h"
#include "kernels/base/quoted.h"
#include "kernels/base/status_macros.h"

namespace subgen {
namespace {

class TensorCheck {
 public:
  explicit TensorCheck(const GgufFile& file) : file_(file) {}

  absl::Status Expect(const std::string& name, std::vector<int64_t> shape) {
    expected_.insert(name);
    const GgufTensor* tensor = file_.FindTensor(name);
    if (tensor == nullptr) return Error(name, "is missing");
    if (tensor->shape != shape) {
      return Error(
          name, absl::StrCat("has shape [", absl::StrJoin(tensor->shape, ", "),
                             "], the hyperparameters say [",
                             absl::StrJoin(shape, ", "), "]"));
    }
    if (shape.size() == 1 && BlockSize(tensor->format) != 1) {
      return Error(
          name, absl::StrCat("is a vector in ", BlockFormatName(tensor->format),
                             "; F32, F16 and BF16 are legal"));
    }
    return absl::OkStatus();
  }
  void Allow(const std::string& name) { expected_.insert(name); }

  absl::Status RefuseOthers() const {
    for (const GgufTensor& tensor : file_.tensors()) {
      if (expected_.count(tensor.name) == 0) {
        return Error(tensor.name, "does not belong to the architecture");
      }
    }
    return absl::OkStatus();
  }

 private:
  absl::Status Error(absl::string_view name, absl::string_view message) const {
    return absl::InvalidArgumentError(
        absl::StrCat(file_.path(), ": tensor ", Quoted(name), " ", message));
  }

  const GgufFile& file_;
  std::set<std::string> expected_;
};

absl::Status CheckLayer(const ModelConfig& config, const std::string& layer,
                        TensorCheck& check) {
  const int64_t queries = config.query_heads * config.head_dim;
  const int64_t keys = config.kv_heads * config.head_dim;
  const int64_t embedding = config.embedding, hidden = config.feed_forward;
  struct Part {
    const char* name;
    std::vector<int64_t> shape;
  };
  std::vector<Part> parts = {{"attn_norm.weight", {embedding}},
                             {"attn_q.weight", {embedding, queries}},
                             {"attn_k.weight", {embedding, keys}},
                             {"attn_v.weight", {embedding, keys}},
                             {"attn_output.weight", {queries, embedding}},
                             {"ffn_norm.weight", {embedding}},
                             {"ffn_gate.weight", {embedding, hidden}},
                             {"ffn_up.weight", {embedding, hidden}},
                             {"ffn_down.weight", {hidden, embedding}}};
  if (config.qkv_bias) {
    parts.push_back({"attn_q.bias", {queries}});
    parts.push_back({"attn_k.bias", {keys}});
    parts.push_back({"attn_v.bias", {keys}});
  }
  if (config.qk_norm) {
    parts.push_back({"attn_q_norm.weight", {config.head_dim}});
    parts.push_back({"attn_k_norm.weight", {config.head_dim}});
  }
  for (const Part& part : parts) {
    RETURN_IF_ERROR(check.Expect(layer + part.name, part.shape));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckTensors(const GgufFile& file, const ModelConfig& config) {
  TensorCheck check(file);
  const int64_t embedding = config.embedding, tokens = config.vocabulary;
  RETURN_IF_ERROR(check.Expect("token_embd.weight", {embedding, tokens}));
  RETURN_IF_ERROR(check.Expect("output_norm.weight", {embedding}));
  if (!config.tied_embeddings) {
    RETURN_IF_ERROR(check.Expect("output.weight", {embedding, tokens}));
  }
  check.Allow("rope_freqs.weight");  // checked where it is read
  for (int layer = 0; layer < config.layers; ++layer) {
    RETURN_IF_ERROR(
        CheckLayer(config, absl::StrCat("blk.", layer, "."), check));
  }
  return check.RefuseOthers();
}

}  // namespace subgen
