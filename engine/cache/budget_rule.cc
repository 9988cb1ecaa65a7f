#include "engine/cache/budget_rule.h"

#include "engine/cache/budget.h"

namespace subgen {

bool TakesBudget(const CacheConfig& config) {
  return config.policy != "exact" && config.policy != "kivi";
}

bool HasBudget(const CacheConfig& config) {
  return config.budget_tokens > 0 || config.budget_bytes > 0 ||
         config.budget_fraction > 0.0;
}

CacheConfig WithBudget(CacheConfig config, int64_t context_tokens) {
  constexpr int64_t kLeast = 1024, kPart = 8;
  if (TakesBudget(config) && !HasBudget(config)) {
    config.budget_tokens = std::max(kLeast, context_tokens / kPart);
  }
  return config;
}

int64_t MostCacheBytes(const CacheConfig& config, const CacheShape& shape) {
  const int64_t all = BudgetRows(config, shape).value_or(0);
  const int64_t rows = (all + shape.token_shards - 1) / shape.token_shards;
  const RowLayout layout = {*ParseRowFormat(config.row_format), shape.head_dim};
  int64_t exact = std::min(rows, config.sink_tokens + config.recent_tokens);
  int64_t cost = RowCost(config, layout);
  if (config.policy == "kivi") {
    // Of 8 numbers at a time, and as much again for their scales at most.
    cost = 2 * 2 * shape.head_dim * config.kivi.bits / 8;
    exact = std::min(rows, config.kivi.exact_tokens);
  }
  const int64_t head = exact * RowCost(config, layout.Exact()) +
                       (rows - exact) * cost + FixedCost(config, shape);
  return head * shape.kv_heads * shape.slots;
}

}  // namespace subgen
