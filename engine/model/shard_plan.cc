#include "engine/model/shard_plan.h"

#include <algorithm>

namespace subgen {
namespace {

// Returns the coarsest block of a tensor over all layers, so that one plan fits
// all.
int64_t BlockOf(const ModelFile& file,
                const ModelTensor* LayerTensors::*tensor) {
  int64_t block = 1;
  for (const LayerTensors& layer : file.layers) {
    block = std::max(block, BlockSize((layer.*tensor)->format));
  }
  return block;
}

Range WidenToBlocks(Range range, int64_t block, int64_t total) {
  // An empty part reads no block.
  if (range.count == 0) return {range.first / block * block, 0};
  const int64_t first = range.first / block * block;
  const int64_t end =
      std::min(total, (range.end() + block - 1) / block * block);
  return {first, end - first};
}

}  // namespace

ShardPlan PlanShard(const ModelFile& file, const GridShape& grid, int rank) {
  const ModelConfig& config = file.config;
  ShardPlan plan;
  plan.kv_heads =
      EvenPart(config.kv_heads, grid.head_shards, grid.HeadShard(rank));
  plan.query_heads = {plan.kv_heads.first * config.group(),
                      plan.kv_heads.count * config.group()};
  const int64_t output_block = BlockOf(file, &LayerTensors::output);
  plan.attention_features =
      // After the merge each token shard has the output of all its heads, so
      // the shards of a head group share out its features.
      EvenPart(plan.query_heads.count * config.head_dim, grid.token_shards,
               grid.TokenShard(rank), output_block);
  plan.attention_features.first += plan.query_heads.first * config.head_dim;
  plan.output_columns = WidenToBlocks(plan.attention_features, output_block,
                                      config.query_heads * config.head_dim);
  // These features are rows of two matrices and columns of the third, whose
  // blocks must not be split.
  plan.feed_forward = EvenPart(config.feed_forward, grid.world(), rank,
                               BlockOf(file, &LayerTensors::down));
  // Rows of the unembedding are whole, so they can be cut anywhere.
  plan.vocabulary = EvenPart(config.vocabulary, grid.world(), rank);
  return plan;
}

}  // namespace subgen
