// How large a cache is: from its settings to rows and bytes.
#pragma once

#include "absl/status/statusor.h"
#include "engine/cache/cache_plan.h"
#include "engine/cache/cache_shape.h"
#include "engine/config/engine_config.h"

namespace subgen {

// Whether one of the three settings gives a budget.
bool HasBudget(const CacheConfig& config);
// Whether the policy keeps to a budget; others keep every token.
bool TakesBudget(const CacheConfig& config);

// The settings with a budget: where the policy takes one and none is given, an
// eighth of the longest legal sequence, and at least 1,024 rows per KV head. It
// depends on nothing else, so a run never has another than the next.
CacheConfig WithBudget(CacheConfig config, int64_t context_tokens);

// Whether queries, keys and values come transformed
// (kernels/memory/hadamard.h), so that attention must be transformed back.
bool TransformsRows(const CacheConfig& config);

// Whether rows lie in few bits, by cache.row_format or by the policy itself.
bool KeepsFewBits(const CacheConfig& config);

// Whether head_shares are to follow the spread of keys (cache.head_budgets).
bool SharesBySpread(const CacheConfig& config);

// Checks every setting that policies share, against the table of settings
// (engine/config) and the shape. All token shards return the same error or
// none. Where the budget holds the whole context the window does too, and every
// policy is exact.
absl::StatusOr<CachePlan> PlanCache(const CacheConfig& config,
                                    const CacheShape& shape);

// Rows per KV head over all token shards: the budget in rows, whichever way it
// is given, at most context_tokens. An error where sinks, recent tokens and one
// more row do not fit; a policy that keeps nothing else fills up with recent
// tokens what sinks leave.
absl::StatusOr<int64_t> BudgetRows(const CacheConfig& config,
                                   const CacheShape& shape);

// The last tokens, of a budget of so many rows, that stay in the window.
int64_t RecentTokens(const CacheConfig& config, int64_t budget_rows);

// Rows that a token shard may give its sketch: its part of the budget less its
// sinks and the most recent tokens that it can own. May be negative.
int64_t SketchRows(const CacheConfig& config, const CacheShape& shape,
                   int64_t budget_rows, int token_shard);

// Bytes that all slots and KV heads of a layer may take on this token shard,
// of settings that were checked.
int64_t MostCacheBytes(const CacheConfig& config, const CacheShape& shape);

}  // namespace subgen
