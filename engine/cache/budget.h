// Computes how large a cache is, from its settings to rows and bytes.
#pragma once

#include "absl/status/statusor.h"
#include "engine/cache/cache_plan.h"
#include "engine/cache/cache_shape.h"
#include "engine/config/engine_config.h"

namespace subgen {

// Tells whether one of the three settings gives a budget.
bool HasBudget(const CacheConfig& config);
// Tells whether the policy keeps to a budget; others keep every token.
bool TakesBudget(const CacheConfig& config);

// Returns the settings with a budget. Where the policy takes one and none is
// given, it is an eighth of the longest legal sequence, and at least 1,024 rows
// per KV head. It depends on nothing else, so a run never has another than the
// next.
CacheConfig WithBudget(CacheConfig config, int64_t context_tokens);

// Tells whether queries, keys and values come transformed
// (kernels/memory/hadamard.h), so that attention must be transformed back.
bool TransformsRows(const CacheConfig& config);

// Tells whether rows lie in few bits, by cache.row_format or by the policy
// itself.
bool KeepsFewBits(const CacheConfig& config);

// Tells whether head_shares are to follow the spread of keys
// (cache.head_budgets).
bool SharesBySpread(const CacheConfig& config);

// Checks every setting that policies share, against the table of settings
// (engine/config) and the shape, and plans one slot. All token shards return
// the same error or none. Where the budget holds the whole context the window
// does too, and every policy is exact.
absl::StatusOr<CachePlan> PlanCache(const CacheConfig& config,
                                    const CacheShape& shape);

// Returns the rows per KV head over all token shards: the budget in rows,
// whichever way it is given, at most context_tokens. It is an error where
// sinks, recent tokens and one more row do not fit. A policy that keeps nothing
// else fills up with recent tokens what sinks leave.
absl::StatusOr<int64_t> BudgetRows(const CacheConfig& config,
                                   const CacheShape& shape);

// Returns how many of the last tokens stay in the window where the budget has
// so many rows.
int64_t RecentTokens(const CacheConfig& config, int64_t budget_rows);

// Returns the rows that a token shard may give its sketch: its part of the
// budget less its sinks and the most recent tokens that it can own. They may be
// negative.
int64_t SketchRows(const CacheConfig& config, const CacheShape& shape,
                   int64_t budget_rows, int token_shard);

// Returns the bytes that all slots and KV heads of a layer may take on this
// token shard. The settings must have been checked.
int64_t MostCacheBytes(const CacheConfig& config, const CacheShape& shape);

}  // namespace subgen
