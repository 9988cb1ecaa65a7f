// These are the numbers that flow through the layers in a step.
#pragma once

#include <cstdint>

#include "engine/model/model_config.h"
#include "engine/model/shard_plan.h"
#include "kernels/memory/buffer.h"
#include "kernels/memory/mirror.h"
#include "kernels/memory/view.h"
#include "kernels/softmax_partials.h"

namespace subgen {

// These are projections of the tokens of a step, token-major.
struct Projections {
  Matrix<float> queries;       // [tokens, my query features]
  Matrix<float> keys, values;  // [owned, my key features]
};

// These are views of one step, in buffers that are reused from layer to layer.
struct Activations {
  Matrix<float> hidden;  // [tokens, embedding], the residual stream
  Matrix<float> normed;  // [tokens, embedding], what the next part reads
  Matrix<float> added;   // [tokens, embedding], what it adds to the stream

  Projections projections;
  // These are the rows of `normed` that this token shard owns: [owned,
  // embedding]. They lie where `added` does, which is not yet written when they
  // are read.
  Matrix<float> owned;
  // These are head-major, as in LayerStep: [heads * tokens, head_dim].
  Matrix<float> queries, keys, values;
  // They lie right behind the queries, so that one transform does both.
  Matrix<float> sink_queries;
  Vector<float> log_partition;  // [rows of queries]
  // It is [tokens, output columns], and lies where the queries of `projections`
  // lay, which have been read by then.
  Matrix<float> attention;
  Matrix<float> gate, up;  // [tokens, my hidden features]
};

// This is memory for steps of up to `max_batch` tokens, mirrored where there is
// a mirror.
struct ActivationBuffers {
  ActivationBuffers(const ModelConfig& config, const ShardPlan& plan,
                    int64_t max_batch, Mirror* mirror);

  Activations Views(int64_t tokens, int64_t owned);

  const int64_t embedding, head_dim;
  const ShardPlan plan;
  Buffer<float> hidden, normed, added;
  Buffer<float> token_major;  // queries, then attention
  Buffer<float> token_major_keys, token_major_values;
  Buffer<float> queries, keys, values;
  Buffer<float> log_partition;
  Buffer<float> gate, up;
  PartialsBuffer partials;  // of the queries
};

}  // namespace subgen
