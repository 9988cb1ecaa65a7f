// This is this rank's shard of the weights: views into the mapped file for
// matrices, which stay quantized, and floats for the small vectors.
#pragma once

#include <vector>

#include "engine/model/model_file.h"
#include "engine/model/shard_plan.h"
#include "kernels/memory/buffer.h"

namespace subgen {

// Buffers are empty where the architecture has no such vector.
struct LayerWeights {
  Buffer<float> attention_norm;    // [embedding]
  WeightMatrix query, key, value;  // [my heads * head_dim, embedding]
  Buffer<float> query_bias, key_bias, value_bias;  // [my heads * head_dim]
  Buffer<float> query_norm, key_norm;              // [head_dim]
  WeightMatrix output;              // [embedding, output_columns]
  Buffer<float> feed_forward_norm;  // [embedding]
  WeightMatrix gate, up;            // [my hidden features, embedding]
  WeightMatrix down;                // [embedding, my hidden features]
};

struct Weights {
  // It is the whole table; a lookup touches the rows of the tokens read,
  // nothing else.
  WeightMatrix embedding;  // [vocabulary, embedding]
  std::vector<LayerWeights> layers;
  Buffer<float> output_norm;  // [embedding]
  WeightMatrix unembedding;   // [my part of the vocabulary, embedding]

  int64_t bytes = 0;  // of this rank's matrices and vectors
};

// The file outlives the weights. Vectors are mirrored where there is a mirror.
Weights LoadWeights(const ModelFile& file, const ShardPlan& plan,
                    Mirror* mirror = nullptr);

}  // namespace subgen
