// A plan says what each rank holds of the model. Heads go to head shards;
// everything else (output projection, feed-forward, vocabulary) is dealt over
// all ranks.
#pragma once

#include "comm/rank_grid.h"
#include "engine/model/model_file.h"

namespace subgen {

struct ShardPlan {
  Range kv_heads;     // of the model's, the same on all ranks of a head group
  Range query_heads;  // those that read them
  // These are the inputs of the output projection that this rank multiplies, as
  // features (query head * head_dim + i): its part of its head group's.
  Range attention_features;
  // These are the same, widened to whole blocks of the weight: blocks are never
  // split, and one that straddles two ranks is read by both, each with zeros
  // for what is not its own.
  Range output_columns;
  Range feed_forward;  // hidden features, on block borders of ffn_down
  Range vocabulary;    // rows of the unembedding
};

// Plans one rank. It looks at the block sizes of the file's tensors too.
ShardPlan PlanShard(const ModelFile& file, const GridShape& grid, int rank);

}  // namespace subgen
