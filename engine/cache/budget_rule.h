// The budget of a cache where none is given, and what a budget costs at most.
#pragma once

#include "engine/cache/cache_policy.h"

namespace subgen {

// Whether the policy keeps to a budget; exact and kivi keep every token.
bool TakesBudget(const CacheConfig& config);
// Whether one of the three settings gives a budget.
bool HasBudget(const CacheConfig& config);

// The settings with a budget: where the policy takes one and none is given, an
// eighth of the longest legal sequence, and at least 1,024 rows a KV head. It
// depends on nothing else, so a run never has another than the next.
CacheConfig WithBudget(CacheConfig config, int64_t context_tokens);

// Bytes that all slots and KV heads of a layer may take on this token shard,
// of settings that were checked.
int64_t MostCacheBytes(const CacheConfig& config, const CacheShape& shape);

}  // namespace subgen
