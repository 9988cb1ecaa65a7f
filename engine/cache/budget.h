// From the settings of a cache to what one KV head of one slot may hold here.
#pragma once

#include "absl/status/statusor.h"
#include "engine/cache/budget_rule.h"
#include "engine/cache/cache_policy.h"
#include "engine/cache/recent_window.h"

namespace subgen {

// How many rows each KV head may hold outside its window.
struct HeadLimits {
  int64_t after = 0;          // from the token on that is the (after + 1)th
  std::vector<int64_t> rows;  // [kv_heads]
};

struct CachePlan {
  RowLayout layout;
  WindowShape window;
  // Of this token shard, the mean over KV heads; 0: nothing leaves the window.
  int64_t sketch_rows = 0;
  std::vector<HeadLimits> limits;  // ascending, the first from 0

  // Of the time when `entered` tokens left the window.
  const HeadLimits& LimitsAt(int64_t entered) const;
};

// Checks every setting that policies share. Where the budget holds the whole
// context the window does too, and every policy is exact. All token shards
// return the same error or none.
absl::StatusOr<CachePlan> PlanCache(const CacheConfig& config,
                                    const CacheShape& shape);

// Rows that a token shard may give its sketch: its part of the budget less its
// sinks and the most recent tokens that it can own. May be negative.
int64_t SketchRows(const CacheConfig& config, const CacheShape& shape,
                   int64_t budget_rows, int token_shard);

// Bytes of a row with all that the policy keeps of it, at most. In the window
// rows are in layout.Exact().
int64_t RowCost(const CacheConfig& config, RowLayout layout);

// Bytes that a policy keeps of a KV head besides its rows, on each token shard.
int64_t FixedCost(const CacheConfig& config, const CacheShape& shape);

}  // namespace subgen
