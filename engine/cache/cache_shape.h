// A shape says where a layer's cache stands; statistics are what it says of
// itself.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/cache/rows/column.h"
#include "kernels/rotary.h"

namespace subgen {

// Shares say what each KV head may hold outside its window, relative to the
// mean over all KV heads of the model, while a sequence has at most `most`
// times as many tokens there as that mean.
struct HeadShares {
  double most = 1.0;           // > 1
  std::vector<double> shares;  // [kv_heads], none over `most`
};

// This is what a policy must know of where it stands.
struct CacheShape {
  int layer = 0;
  int kv_heads = 0;       // of this rank
  int first_kv_head = 0;  // of the model: randomness is by global head
  int64_t head_dim = 0;
  int group = 1;  // query heads per KV head
  int slots = 1;
  int token_shards = 1;
  int token_shard = 0;
  int64_t token_block = 16;
  int64_t context_tokens = 0;           // longest sequence
  int64_t step_tokens = 0;              // most of a step; 0: not known
  Rotary rotary;                        // of the model, for checks and probes
  std::vector<HeadShares> head_shares;  // ascending; empty: all heads alike
};

struct CacheStats {
  int64_t tokens_seen = 0;  // of the sequence, on all token shards
  int64_t rows = 0;         // kept, over this rank's KV heads
  ByteUse bytes;            // of the slot, everything included
};

}  // namespace subgen
