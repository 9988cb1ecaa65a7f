// A layer step is one layer's part of a step: what the transformer hands to a
// layer's cache.
#pragma once

#include <cstdint>

#include "kernels/attention_tasks.h"

namespace subgen {

// A chunk is the tokens of one sequence in a step, consecutive in position.
struct Chunk {
  int slot = 0;
  int64_t position = 0;      // of its first token
  int first = 0;             // row of the batch
  int count = 0;             // tokens, >= 1
  int first_owned = 0;       // row of keys and values: those of the tokens that
  int owned_count = 0;       // this token shard owns; 0 is ordinary
  bool ends_prompt = false;  // its last token is the last of the prompt
};

// The step is for this rank's KV heads, and everything in it is head-major.
struct LayerStep {
  Vector<const Chunk> chunks;
  int64_t tokens = 0;           // of the batch
  int64_t owned = 0;            // of them owned by this token shard
  int group = 1;                // query heads per KV head
  Matrix<const float> queries;  // [kv_heads * tokens * group, head_dim]
  // The same queries as if each had been asked CachePolicy::Dropped positions
  // earlier, which sinks are attended to with. Empty where nothing was dropped.
  Matrix<const float> sink_queries;
  Matrix<const float> keys;    // [kv_heads * owned, head_dim], rotated
  Matrix<const float> values;  // [kv_heads * owned, head_dim]
  Vector<const int64_t> owned_positions;  // [owned], ascending in a chunk
  Vector<const int> owned_tokens;         // [owned], token of its chunk, from 0

  // Return the rows of one chunk and local KV head.
  Matrix<const float> Queries(const Chunk& chunk, int kv_head) const;
  Matrix<const float> SinkQueries(const Chunk& chunk, int kv_head) const;
  Matrix<const float> Keys(const Chunk& chunk, int kv_head) const;
  Matrix<const float> Values(const Chunk& chunk, int kv_head) const;
  Vector<const int64_t> Positions(const Chunk& chunk) const;
  Vector<const int> Tokens(const Chunk& chunk) const;
  // Return the rows of partials or log-partitions, laid out as the queries are.
  SoftmaxPartials Partials(const SoftmaxPartials& all, const Chunk& chunk,
                           int kv_head) const;
  Vector<const float> PerQuery(Vector<const float> all, const Chunk& chunk,
                               int kv_head) const;
  // Makes the task of attention of each token of the chunk to those up to
  // itself.
  AttentionTask TaskInside(const Chunk& chunk, int kv_head,
                           const SoftmaxPartials& all) const;
};

}  // namespace subgen
