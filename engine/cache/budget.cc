#include "engine/cache/budget.h"

#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "engine/cache/nearest_two.h"
#include "kernels/base/status_macros.h"

namespace subgen {
namespace {

template <class T>
absl::Status Illegal(absl::string_view key, const T& value,
                     absl::string_view legal) {
  return absl::InvalidArgumentError(
      absl::StrCat("cache.", key, " = ", value, ": legal is ", legal));
}

absl::Status CheckBudget(const CacheConfig& config) {
  if (config.budget_tokens < 0) {
    return Illegal("budget_tokens", config.budget_tokens, "0 or more");
  }
  if (config.budget_bytes < 0) {
    return Illegal("budget_bytes", config.budget_bytes, "0 or more");
  }
  if (!(config.budget_fraction >= 0.0 && config.budget_fraction <= 1.0)) {
    return Illegal("budget_fraction", config.budget_fraction, "0 to 1");
  }
  const int given = (config.budget_tokens > 0) + (config.budget_bytes > 0) +
                    (config.budget_fraction > 0.0);
  if (given > 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("cache.budget_tokens = ", config.budget_tokens,
                     ", cache.budget_bytes = ", config.budget_bytes,
                     ", cache.budget_fraction = ", config.budget_fraction,
                     ": at most one of the three may be given"));
  }
  return absl::OkStatus();
}

absl::Status CheckShared(const CacheConfig& config, const CacheShape& shape) {
  constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
  if (shape.context_tokens < 1 || shape.context_tokens > kMost) {
    return absl::InvalidArgumentError(absl::StrCat(
        "context_tokens = ", shape.context_tokens, ": legal is 1 to ", kMost));
  }
  if (config.sink_tokens < 0 || config.sink_tokens > kMost) {
    return Illegal("sink_tokens", config.sink_tokens,
                   absl::StrCat("0 to ", kMost));
  }
  if (config.recent_tokens < 1 || config.recent_tokens > kMost) {
    return Illegal("recent_tokens", config.recent_tokens,
                   absl::StrCat("1 to ", kMost));
  }
  return CheckBudget(config);
}

// Which setting gave the budget, for errors.
std::string BudgetName(const CacheConfig& config, int64_t rows) {
  const std::string is = absl::StrCat(" gives ", rows, " rows");
  if (config.budget_tokens > 0) {
    return absl::StrCat("cache.budget_tokens = ", config.budget_tokens, is);
  }
  if (config.budget_bytes > 0) {
    return absl::StrCat("cache.budget_bytes = ", config.budget_bytes, is);
  }
  return absl::StrCat("cache.budget_fraction = ", config.budget_fraction, is);
}

}  // namespace

int64_t RowCost(const CacheConfig& config, RowLayout layout) {
  const int64_t row = 2 * layout.row_bytes();
  if (config.policy == "heavy_hitter") {
    return row + sizeof(float) + sizeof(int32_t);  // score, position
  }
  if (config.policy == "subgen" && config.subgen.mode == "k_center") {
    const int64_t bias =
        config.subgen.count_exponent != 0.0 ? sizeof(float) : 0;
    return row + bias + sizeof(int32_t) + sizeof(NearestTwo);  // with the count
  }
  return row;
}

absl::StatusOr<int64_t> BudgetRows(const CacheConfig& config,
                                   const CacheShape& shape) {
  RETURN_IF_ERROR(CheckShared(config, shape));
  ASSIGN_OR_RETURN(const RowFormat format, ParseRowFormat(config.row_format));
  const int64_t context = shape.context_tokens;
  int64_t rows = context;
  if (config.policy == "exact") return rows;
  if (config.budget_tokens > 0) rows = config.budget_tokens;
  if (config.budget_fraction > 0.0) {
    rows = static_cast<int64_t>(std::floor(config.budget_fraction * context));
  }
  if (config.budget_bytes > 0) {
    rows = config.budget_bytes / RowCost(config, {format, shape.head_dim});
  }
  if (rows >= context) return context;
  // The recent tokens of `window` are what the sinks leave of the budget.
  const bool fills = config.policy == "window";
  const int64_t least =
      config.sink_tokens + (fills ? 0 : config.recent_tokens) + 1;
  if (rows >= least) return rows;
  return absl::InvalidArgumentError(absl::StrCat(
      BudgetName(config, rows),
      " a KV head: cache.sink_tokens = ", config.sink_tokens,
      fills ? std::string()
            : absl::StrCat(" and cache.recent_tokens = ", config.recent_tokens),
      " need at least ", least, "; raise the budget or lower them"));
}

int64_t SketchRows(const CacheConfig& config, const CacheShape& shape,
                   int64_t budget_rows, int token_shard) {
  const int64_t shards = shape.token_shards;
  const int64_t share = budget_rows * (token_shard + 1) / shards -
                        budget_rows * token_shard / shards;
  const TokenDealing dealing = {shards, token_shard, shape.token_block};
  return share - dealing.Before(config.sink_tokens) -
         dealing.MostOf(config.recent_tokens);
}

absl::StatusOr<CachePlan> PlanCache(const CacheConfig& config,
                                    const CacheShape& shape) {
  ASSIGN_OR_RETURN(const int64_t rows, BudgetRows(config, shape));
  ASSIGN_OR_RETURN(const RowFormat format, ParseRowFormat(config.row_format));
  CachePlan plan;
  plan.layout = {format, shape.head_dim};
  plan.window.dealing = {shape.token_shards, shape.token_shard,
                         shape.token_block};
  plan.window.sink_tokens = config.sink_tokens;
  plan.window.recent_tokens = config.recent_tokens;
  if (rows >= shape.context_tokens) {
    plan.window.recent_tokens = WindowShape::kEveryToken;
    return plan;
  }
  if (config.policy == "window") {
    plan.window.recent_tokens = rows - config.sink_tokens;
    return plan;
  }
  for (int shard = 0; shard < shape.token_shards; ++shard) {
    if (SketchRows(config, shape, rows, shard) >= 1) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        BudgetName(config, rows), " a KV head, ", rows / shape.token_shards,
        " for each of ", shape.token_shards,
        " token shards: its sinks and recent tokens leave none for token "
        "shard ",
        shard,
        "; raise the budget or lower cache.recent_tokens, cache.sink_tokens, "
        "ranks.token_block or ranks.token_shards"));
  }
  plan.sketch_rows = SketchRows(config, shape, rows, shape.token_shard);
  return plan;
}

}  // namespace subgen
