#include "engine/model/activations.h"

#include <algorithm>

namespace subgen {

ActivationBuffers::ActivationBuffers(const ModelConfig& config,
                                     const ShardPlan& plan, int64_t max_batch,
                                     Mirror* mirror)
    : embedding(config.embedding), head_dim(config.head_dim), plan(plan) {
  const int64_t query = plan.query_heads.count * head_dim;
  const int64_t key = plan.kv_heads.count * head_dim;
  const auto floats = [&](int64_t size_of_token) {
    return Buffer<float>(max_batch * size_of_token, mirror);
  };
  hidden = floats(embedding);
  normed = floats(embedding);
  added = floats(embedding);
  token_major = floats(std::max(query, plan.output_columns.count));
  token_major_keys = floats(key);
  token_major_values = floats(key);
  queries = floats(2 * query);  // and those for sinks
  keys = floats(key);
  values = floats(key);
  log_partition = floats(plan.query_heads.count);
  gate = floats(plan.feed_forward.count);
  up = floats(plan.feed_forward.count);
  partials =
      PartialsBuffer(max_batch * plan.query_heads.count, head_dim, mirror);
}

Activations ActivationBuffers::Views(int64_t tokens, int64_t owned) {
  const int64_t query_heads = plan.query_heads.count;
  const int64_t kv_heads = plan.kv_heads.count;
  Activations x;
  x.hidden = hidden.matrix(tokens, embedding);
  x.normed = normed.matrix(tokens, embedding);
  x.added = added.matrix(tokens, embedding);
  x.projections = {token_major.matrix(tokens, query_heads * head_dim),
                   token_major_keys.matrix(owned, kv_heads * head_dim),
                   token_major_values.matrix(owned, kv_heads * head_dim)};
  x.owned = added.matrix(owned, embedding);
  x.queries = queries.matrix(query_heads * tokens, head_dim);
  x.sink_queries = {x.queries.data + x.queries.rows * head_dim, x.queries.rows,
                    head_dim};
  x.keys = keys.matrix(kv_heads * owned, head_dim);
  x.values = values.matrix(kv_heads * owned, head_dim);
  x.log_partition = log_partition.span().first(query_heads * tokens);
  x.attention = token_major.matrix(tokens, plan.output_columns.count);
  x.gate = gate.matrix(tokens, plan.feed_forward.count);
  x.up = up.matrix(tokens, plan.feed_forward.count);
  return x;
}

}  // namespace subgen
