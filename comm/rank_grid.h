// The world of ranks is a grid of head shards x token shards. There are as many
// head shards as KV heads allow, and surplus ranks share the context of a head
// group (Helix, arXiv 2507.07120, has the same order). Consecutive ranks are
// the token shards of one head group.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "comm/communicator.h"
#include "comm/token_dealing.h"
#include "kernels/base/range.h"

namespace subgen {

// Returns part `part` of `total` things that are dealt as evenly as possible;
// earlier parts get the surplus. Parts may be empty. Things come in units of
// `unit`; a last, smaller unit is legal.
Range EvenPart(int64_t total, int parts, int part, int64_t unit = 1);

// This says how ranks are to be arranged; 0 means "choose".
struct GridOptions {
  int head_shards = 0;
  int token_shards = 0;
  int64_t token_block = 16;  // positions dealt to a token shard at a time
};

// This is the shape of the grid as any rank sees it; plans are printed from it.
struct GridShape {
  int head_shards = 1;
  int token_shards = 1;
  int64_t token_block = 16;

  int world() const { return head_shards * token_shards; }
  int HeadShard(int rank) const { return rank / token_shards; }
  int TokenShard(int rank) const { return rank % token_shards; }
  // Returns the token shard that owns a position: blocks of positions are dealt
  // round-robin.
  int Owner(int64_t position) const {
    const TokenDealing dealing = {token_shards, 0, token_block};
    return static_cast<int>(dealing.Owner(position));
  }
};

// Fills in what is not chosen, and refuses what cannot be: more head shards
// than KV heads, a product other than world, numbers below 1.
absl::StatusOr<GridShape> PlanGrid(const GridOptions& options, int world,
                                   int kv_heads);

struct RankGrid {
  GridShape shape;
  std::unique_ptr<Communicator> world;
  std::unique_ptr<Communicator> tokens;  // ranks that share a head group

  int head_shard() const { return shape.HeadShard(world->rank()); }
  int token_shard() const { return shape.TokenShard(world->rank()); }
  bool Owns(int64_t position) const {
    return shape.Owner(position) == token_shard();
  }
};

// Splits `world` as the shape says. Collective over `world`.
RankGrid MakeGrid(const GridShape& shape, std::unique_ptr<Communicator> world);

}  // namespace subgen
