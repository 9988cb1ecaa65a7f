// The hyperparameters of a model, from the metadata of its file.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "engine/config/engine_config.h"
#include "engine/model/gguf_file.h"
#include "kernels/rotary.h"

namespace subgen {

struct ModelConfig {
  std::string architecture;  // llama, qwen2, qwen3
  std::string name;
  int layers = 0;
  int64_t embedding = 0;
  int64_t feed_forward = 0;
  int query_heads = 0;
  int kv_heads = 0;
  int64_t head_dim = 0;
  int64_t vocabulary = 0;
  int64_t context = 0;  // tokens that the model was trained for
  float norm_epsilon = 0.0f;
  bool tied_embeddings = false;  // no output.weight in the file
  bool qkv_bias = false;         // qwen2
  bool qk_norm = false;          // qwen3
  Rotary rotary;

  int group() const { return query_heads / kv_heads; }
};

// Refuses by name: an unknown architecture, a setting that changes the
// arithmetic and that the engine does not know, a value out of range, a tensor
// that is missing, left over, or of another shape than the hyperparameters say.
absl::StatusOr<ModelConfig> ReadModelConfig(const GgufFile& file,
                                            const RopeConfig& rope);

}  // namespace subgen
