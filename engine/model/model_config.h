// These are the hyperparameters of a model.
#pragma once

#include <cstdint>
#include <string>

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
  bool tied_embeddings = false;  // the unembedding is the embedding
  bool qkv_bias = false;         // qwen2
  bool qk_norm = false;          // qwen3
  Rotary rotary;

  int group() const { return query_heads / kv_heads; }
};

}  // namespace subgen
