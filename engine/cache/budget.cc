#include "engine/cache/budget.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "engine/cache/policy_entry.h"
#include "engine/cache/policy_table.h"
#include "engine/config/fields.h"
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
  const int given = (config.budget_tokens > 0) + (config.budget_bytes > 0) +
                    (config.budget_fraction > 0.0);
  if (given <= 1) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "cache.budget_tokens = ", config.budget_tokens, ", cache.budget_bytes = ",
      config.budget_bytes, ", cache.budget_fraction = ", config.budget_fraction,
      ": at most one of the three may be given"));
}

// A row of few bits is made of blocks, so a head must be a multiple of them.
absl::Status CheckRowFormat(const CacheConfig& config,
                            const CacheShape& shape) {
  ASSIGN_OR_RETURN(const RowFormat format, ParseRowFormat(config.row_format));
  const int64_t block = RowBlock(format, shape.head_dim);
  if (shape.head_dim % block == 0) return absl::OkStatus();
  return Illegal("row_format", config.row_format,
                 absl::StrCat("f32, bf16 or f16: a head of ", shape.head_dim,
                              " numbers is not a multiple of ", block));
}

HeadBudgets BudgetsOf(const PolicyEntry& policy, const CacheConfig& config) {
  return policy.head_budgets == nullptr ? HeadBudgets::kEqual
                                        : policy.head_budgets(config);
}

absl::Status CheckShared(const PolicyEntry& policy, const CacheConfig& config,
                         const CacheShape& shape) {
  RETURN_IF_ERROR(CheckCacheFields(config));
  RETURN_IF_ERROR(CheckRowFormat(config, shape));
  // Sketches store counts and positions of tokens as 32-bit numbers.
  constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
  if (shape.context_tokens < 1 || shape.context_tokens > kMost) {
    return absl::InvalidArgumentError(absl::StrCat(
        "context_tokens = ", shape.context_tokens, ": legal is 1 to ", kMost));
  }
  // A policy without a sketch has nothing that could be shared, so it is not
  // refused.
  if (config.head_budgets == "spread" && policy.make != nullptr &&
      BudgetsOf(policy, config) == HeadBudgets::kEqual) {
    return Illegal("head_budgets", config.head_budgets,
                   absl::StrCat("equal or auto: heads of cache.policy = ",
                                policy.name, ", as it is set, are alike"));
  }
  return CheckBudget(config);
}

// Says which setting gave the budget, for errors.
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

// Needs settings that were checked.
RowLayout LayoutOf(const CacheConfig& config, const CacheShape& shape) {
  return {*ParseRowFormat(config.row_format), shape.head_dim};
}

PolicyCosts CostsOf(const CacheConfig& config, const CacheShape& shape) {
  const RowLayout layout = LayoutOf(config, shape);
  const PolicyEntry* const policy = FindPolicy(config.policy);
  if (policy != nullptr && policy->costs != nullptr) {
    return policy->costs(config, shape, layout);
  }
  return {2 * layout.Exact().row_bytes(), 2 * layout.row_bytes(), 0};
}

// Returns the rows that the bytes hold, of which the first `exact` lie in the
// window.
int64_t RowsIn(int64_t bytes, int64_t exact, const PolicyCosts& costs) {
  if (bytes <= exact * costs.window_row) return bytes / costs.window_row;
  return exact + (bytes - exact * costs.window_row) / costs.sketch_row;
}

// Gives a head one row, and its share of the others, as no sketch can hold less
// than one.
int64_t RowsOfShare(int64_t rows, double share) {
  return 1 + static_cast<int64_t>(static_cast<double>(rows - 1) * share);
}

// While all tokens fit, every head may hold `rows`; then it may hold its share.
// The mean over all heads of the model is `rows` at most.
std::vector<HeadLimits> PlanLimits(const CacheShape& shape, int64_t rows) {
  std::vector<HeadLimits> all = {
      {0, std::vector<int64_t>(shape.kv_heads, rows)}};
  if (rows == 0) return all;
  int64_t after = rows;
  for (const HeadShares& step : shape.head_shares) {
    SUBGEN_CHECK(static_cast<int>(step.shares.size()) == shape.kv_heads);
    all.push_back({after, {}});
    for (const double share : step.shares) {
      all.back().rows.push_back(RowsOfShare(rows, share));
    }
    after = RowsOfShare(rows, step.most);
  }
  return all;
}

// Returns the part of a token shard in a whole, so that the parts of all shards
// add up to it.
int64_t Share(int64_t whole, const CacheShape& shape, int token_shard) {
  const int64_t shards = shape.token_shards, rest = whole % shards;
  return whole / shards + rest * (token_shard + 1) / shards -
         rest * token_shard / shards;
}

}  // namespace

bool HasBudget(const CacheConfig& config) {
  return config.budget_tokens > 0 || config.budget_bytes > 0 ||
         config.budget_fraction > 0.0;
}

bool TakesBudget(const CacheConfig& config) {
  const PolicyEntry* const policy = FindPolicy(config.policy);
  return policy == nullptr || policy->bounded;
}

CacheConfig WithBudget(CacheConfig config, int64_t context_tokens) {
  constexpr int64_t kLeast = 1024, kPart = 8;
  if (TakesBudget(config) && !HasBudget(config)) {
    config.budget_tokens = std::max(kLeast, context_tokens / kPart);
  }
  return config;
}

bool TransformsRows(const CacheConfig& config) {
  if (config.rotate != "auto") return config.rotate == "true";
  const PolicyEntry* const policy = FindPolicy(config.policy);
  if (policy != nullptr && policy->quantizes) return false;
  return config.row_format == "q4" || config.row_format == "q3";
}

bool KeepsFewBits(const CacheConfig& config) {
  const PolicyEntry* const policy = FindPolicy(config.policy);
  const auto format = ParseRowFormat(config.row_format);
  return (policy != nullptr && policy->quantizes) ||
         (format.ok() && IsQuantized(*format));
}

bool SharesBySpread(const CacheConfig& config) {
  const PolicyEntry* const policy = FindPolicy(config.policy);
  if (policy == nullptr) return false;
  const HeadBudgets budgets = BudgetsOf(*policy, config);
  if (config.head_budgets != "auto") {
    return config.head_budgets == "spread" && budgets != HeadBudgets::kEqual;
  }
  return budgets == HeadBudgets::kSpreadByDefault;
}

// Tells whether what leaves the window goes on into a sketch.
static bool HasSketch(const CacheConfig& config) {
  const PolicyEntry* const policy = FindPolicy(config.policy);
  return policy != nullptr && policy->make != nullptr;
}

// Returns the rows for what is always exact, and one more. Where there is no
// sketch, recent tokens fill up what the sinks leave.
static int64_t LeastRows(const CacheConfig& config) {
  return config.sink_tokens + (HasSketch(config) ? config.recent_tokens : 0) +
         1;
}

// Returns the fewest rows, from `rows` on, that leave each token shard a row of
// its sketch; they are at most the context.
static int64_t RowsForAllShards(const CacheConfig& config,
                                const CacheShape& shape, int64_t rows) {
  rows = std::max(rows, LeastRows(config));
  const auto lacks = [&](int shard) {
    return HasSketch(config) && SketchRows(config, shape, rows, shard) < 1;
  };
  for (int shard = 0; shard < shape.token_shards; ++shard) {
    while (rows < shape.context_tokens && lacks(shard)) {
      rows += shape.token_shards;
    }
  }
  return std::min(rows, shape.context_tokens);
}

absl::StatusOr<int64_t> BudgetRows(const CacheConfig& config,
                                   const CacheShape& shape) {
  ASSIGN_OR_RETURN(const PolicyEntry* const policy, PolicyNamed(config.policy));
  RETURN_IF_ERROR(CheckShared(*policy, config, shape));
  const int64_t context = shape.context_tokens;
  int64_t rows = context;
  if (!TakesBudget(config)) return rows;
  if (config.budget_tokens > 0) rows = config.budget_tokens;
  if (config.budget_fraction > 0.0) {
    rows = static_cast<int64_t>(std::floor(config.budget_fraction * context));
    // What is always exact does not shrink with a short context, so a fraction
    // is raised to hold it, where a number of rows or bytes would be refused.
    rows = RowsForAllShards(config, shape, rows);
  }
  if (config.budget_bytes > 0) {
    const PolicyCosts costs = CostsOf(config, shape);
    // Each token shard pays for what its own sketch keeps besides rows.
    rows = RowsIn(config.budget_bytes - shape.token_shards * costs.fixed,
                  config.sink_tokens + config.recent_tokens, costs);
  }
  if (rows >= context) return context;
  const int64_t least = LeastRows(config);
  if (rows >= least) return rows;
  return absl::InvalidArgumentError(absl::StrCat(
      BudgetName(config, rows),
      " a KV head: cache.sink_tokens = ", config.sink_tokens,
      HasSketch(config)
          ? absl::StrCat(" and cache.recent_tokens = ", config.recent_tokens)
          : std::string(),
      " need at least ", least, "; raise the budget or lower them"));
}

int64_t RecentTokens(const CacheConfig& config, int64_t budget_rows) {
  // Rows in the window are not quantized, so they are dear where others take
  // few bits.
  if (KeepsFewBits(config)) return config.recent_tokens;
  const double part = config.recent_fraction * static_cast<double>(budget_rows);
  return std::max(config.recent_tokens, static_cast<int64_t>(part));
}

// Returns the window of a budget of so many rows.
static WindowShape WindowOf(const CacheConfig& config, const CacheShape& shape,
                            int64_t budget_rows) {
  WindowShape window;
  window.dealing = {shape.token_shards, shape.token_shard, shape.token_block};
  window.sink_tokens = config.sink_tokens;
  window.recent_tokens = RecentTokens(config, budget_rows);
  if (IsQuantized(LayoutOf(config, shape).format)) {
    window.exact_tokens = config.recent_tokens;
  }
  return window;
}

int64_t SketchRows(const CacheConfig& config, const CacheShape& shape,
                   int64_t budget_rows, int token_shard) {
  WindowShape window = WindowOf(config, shape, budget_rows);
  window.dealing.shard = token_shard;
  const int64_t exact = window.sink_rows() + window.exact_rows();
  if (config.budget_bytes == 0) {
    return Share(budget_rows, shape, token_shard) - exact;
  }
  const PolicyCosts costs = CostsOf(config, shape);
  const int64_t bytes = Share(config.budget_bytes, shape, token_shard);
  return RowsIn(bytes - costs.fixed, exact, costs) - exact;
}

// Checks all shards on each of them: so all return the same error, without
// talking to one another.
static absl::Status CheckEachShard(const CacheConfig& config,
                                   const CacheShape& shape, int64_t rows) {
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
  return absl::OkStatus();
}

// Plans all but the limits.
static absl::StatusOr<CachePlan> PlanRows(const CacheConfig& config,
                                          const CacheShape& shape) {
  ASSIGN_OR_RETURN(const PolicyEntry* const policy, PolicyNamed(config.policy));
  ASSIGN_OR_RETURN(const int64_t rows, BudgetRows(config, shape));
  CachePlan plan;
  plan.layout = LayoutOf(config, shape);
  plan.window = WindowOf(config, shape, rows);
  if (policy->quantizes) {
    // The sketch quantizes by itself, so nothing before it may.
    plan.layout = plan.layout.Exact();
    plan.window.exact_tokens = WindowShape::kEveryToken;
  }
  if (policy->recent_tokens != nullptr) {
    plan.window.recent_tokens = policy->recent_tokens(config);
  }
  if (!policy->bounded && policy->make != nullptr) {
    // No budget binds the sketch: it may hold all tokens of this shard.
    plan.sketch_rows = plan.window.dealing.Before(shape.context_tokens);
    return plan;
  }
  if (rows >= shape.context_tokens) {
    plan.window.recent_tokens = WindowShape::kEveryToken;
    return plan;
  }
  if (policy->make == nullptr) {
    plan.window.recent_tokens = rows - config.sink_tokens;
    return plan;
  }
  RETURN_IF_ERROR(CheckEachShard(config, shape, rows));
  plan.sketch_rows = SketchRows(config, shape, rows, shape.token_shard);
  return plan;
}

int64_t MostCacheBytes(const CacheConfig& config, const CacheShape& shape) {
  const int64_t all = BudgetRows(config, shape).value_or(0);
  const int64_t rows = (all + shape.token_shards - 1) / shape.token_shards;
  const PolicyEntry* const policy = FindPolicy(config.policy);
  const int64_t recent = policy != nullptr && policy->recent_tokens != nullptr
                             ? policy->recent_tokens(config)
                             : config.recent_tokens;
  const int64_t exact = std::min(rows, config.sink_tokens + recent);
  const PolicyCosts costs = CostsOf(config, shape);
  const int64_t head = exact * costs.window_row +
                       (rows - exact) * costs.sketch_row + costs.fixed;
  return head * shape.kv_heads * shape.slots;
}

const HeadLimits& CachePlan::LimitsAt(int64_t entered) const {
  size_t step = 0;
  while (step + 1 < limits.size() && limits[step + 1].after < entered) ++step;
  return limits[step];
}

absl::StatusOr<CachePlan> PlanCache(const CacheConfig& config,
                                    const CacheShape& shape) {
  ASSIGN_OR_RETURN(CachePlan plan, PlanRows(config, shape));
  plan.limits = PlanLimits(shape, plan.sketch_rows);
  return plan;
}

}  // namespace subgen
