// A layout says where the tokens of a batch lie in a step.
#pragma once

#include <cstdint>
#include <vector>

#include "comm/rank_grid.h"
#include "engine/cache/cache_policy.h"
#include "engine/model/batch.h"

namespace subgen {

// Tokens lie run after run. This token shard owns some of them, and holds their
// keys and values alone.
struct StepLayout {
  std::vector<Chunk> chunks;       // one for each run
  std::vector<int> tokens;         // [tokens]
  std::vector<int64_t> positions;  // [tokens]
  std::vector<int> owned_rows;     // [owned] rows of the batch
  // As far back as sinks are asked from, [tokens]; empty where that is nowhere
  // another place than `positions`.
  std::vector<int64_t> sink_positions;
  std::vector<int64_t> owned_positions;  // [owned]
  std::vector<int> owned_tokens;         // [owned] token of its chunk
  std::vector<int> logit_rows;           // rows of the batch, ascending

  int64_t token_count() const { return std::ssize(tokens); }
  int64_t owned_count() const { return std::ssize(owned_rows); }

  // Fills everything, in the memory that an earlier step has left.
  // `cache` is that of any layer, before the step.
  void Arrange(const Batch& batch, const RankGrid& grid,
               const CachePolicy& cache);

  // Returns a layer's part of the step, which views this layout; it is without
  // queries, keys and values.
  LayerStep Step(int group) const;
};

}  // namespace subgen
