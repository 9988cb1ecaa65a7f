#include "engine/cache/budget.h"

#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "engine/cache/query_ring.h"
#include "kernels/base/status_macros.h"
#include "kernels/neighbors.h"

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

bool IsSubgen(const CacheConfig& config, absl::string_view mode) {
  return config.policy == "subgen" && config.subgen.mode == mode;
}
bool IsKCenter(const CacheConfig& config) {
  return IsSubgen(config, "k_center");
}

// Of the row format and the Hadamard transform.
absl::Status CheckRows(const CacheConfig& config, const CacheShape& shape) {
  ASSIGN_OR_RETURN(const RowFormat format, ParseRowFormat(config.row_format));
  const int64_t block = RowBlock(format, shape.head_dim);
  if (shape.head_dim % block != 0) {
    return Illegal("row_format", config.row_format,
                   absl::StrCat("f32, bf16 or f16: a head of ", shape.head_dim,
                                " numbers is not a multiple of ", block));
  }
  if (config.rotate != "auto" && config.rotate != "true" &&
      config.rotate != "false") {
    return Illegal("rotate", config.rotate, "auto, true or false");
  }
  return absl::OkStatus();
}

absl::Status CheckShared(const CacheConfig& config, const CacheShape& shape) {
  RETURN_IF_ERROR(CheckRows(config, shape));
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
  if (config.when != "stream" && config.when != "once") {
    return Illegal("when", config.when, "stream or once");
  }
  if (config.head_budgets != "auto" && config.head_budgets != "equal" &&
      config.head_budgets != "spread") {
    return Illegal("head_budgets", config.head_budgets,
                   "auto, equal or spread");
  }
  const bool streaming = IsSubgen(config, "streaming");
  if (config.head_budgets == "spread" &&
      (config.policy == "kivi" || streaming)) {
    return Illegal(
        "head_budgets", config.head_budgets,
        "equal or auto, with kivi and cache.subgen.mode = streaming");
  }
  if (!(config.recent_fraction >= 0.0 && config.recent_fraction <= 0.9)) {
    return Illegal("recent_fraction", config.recent_fraction, "0 to 0.9");
  }
  if (config.kivi.exact_tokens < 1) {
    return Illegal("kivi.exact_tokens", config.kivi.exact_tokens, "1 or more");
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

// Of settings that were checked.
RowLayout LayoutOf(const CacheConfig& config, const CacheShape& shape) {
  return {*ParseRowFormat(config.row_format), shape.head_dim};
}

// Rows of which the first `exact` are in layout.Exact().
int64_t RowsIn(int64_t bytes, int64_t exact, const CacheConfig& config,
               RowLayout layout) {
  const int64_t exact_cost = RowCost(config, layout.Exact());
  if (bytes <= exact * exact_cost) return bytes / exact_cost;
  return exact + (bytes - exact * exact_cost) / RowCost(config, layout);
}

// Bytes of a center's two neighbors and alignment.
int64_t NeighborCost(const SubgenConfig& config) {
  return 2 * sizeof(Neighbor) +
         (config.distinctiveness_exponent != 0 ? sizeof(float) : 0);
}

// Of its count and log-weight.
int64_t CountCost(const SubgenConfig& config) {
  return config.count_exponent != 0.0 ? sizeof(int32_t) + sizeof(float) : 0;
}

// A row, and a share of the others.
int64_t RowsOfShare(int64_t rows, double share) {
  return 1 + static_cast<int64_t>(static_cast<double>(rows - 1) * share);
}

// While all tokens fit, every head may hold `rows`; then its share. The mean
// over all heads of the model is `rows` at most.
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

// The part of a token shard in a whole.
int64_t Share(int64_t whole, const CacheShape& shape, int token_shard) {
  const int64_t shards = shape.token_shards, rest = whole % shards;
  return whole / shards + rest * (token_shard + 1) / shards -
         rest * token_shard / shards;
}

}  // namespace

bool TransformsRows(const CacheConfig& config) {
  if (config.rotate != "auto") return config.rotate == "true";
  if (config.policy == "kivi") return false;  // groups numbers of a channel
  return config.row_format == "q4" || config.row_format == "q3";
}

bool SharesBySpread(const CacheConfig& config) {
  if (config.head_budgets != "auto") return config.head_budgets == "spread";
  return IsKCenter(config);
}

int64_t RowCost(const CacheConfig& config, RowLayout layout) {
  const int64_t row = 2 * layout.row_bytes();
  if (config.policy == "heavy_hitter") {
    return row + sizeof(float) + sizeof(int32_t);  // score, position
  }
  if (config.policy == "key_diff") {
    return row + sizeof(float) + sizeof(double);  // norm, alignment
  }
  if (IsKCenter(config)) {
    return row + NeighborCost(config.subgen) + CountCost(config.subgen);
  }
  return row;
}

int64_t FixedCost(const CacheConfig& config, const CacheShape& shape) {
  if (config.policy == "key_diff") return shape.head_dim * sizeof(double);
  if (IsKCenter(config)) {  // the token at hand, the means
    const bool mean = config.subgen.distinctiveness_exponent != 0;
    return NeighborCost(config.subgen) +
           (1 + (mean ? shape.head_dim : 0)) * sizeof(double);
  }
  if (IsSubgen(config, "streaming")) return 2 * sizeof(double);  // totals
  if (config.policy == "snap_kv") {
    return QueryRing::Bytes(QueryRing::Tokens(config.recent_tokens),
                            shape.group, shape.head_dim);
  }
  return 0;
}

// Rows for what is always exact, and one more: `window` fills up with recent
// tokens what the sinks leave.
static int64_t LeastRows(const CacheConfig& config) {
  return config.sink_tokens +
         (config.policy == "window" ? 0 : config.recent_tokens) + 1;
}

// The fewest from `rows` on that leave each token shard a row of its sketch; at
// most the context.
static int64_t RowsForAllShards(const CacheConfig& config,
                                const CacheShape& shape, int64_t rows) {
  rows = std::max(rows, LeastRows(config));
  const auto lacks = [&](int shard) {
    return config.policy != "window" &&
           SketchRows(config, shape, rows, shard) < 1;
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
  RETURN_IF_ERROR(CheckShared(config, shape));
  const int64_t context = shape.context_tokens;
  int64_t rows = context;
  if (!TakesBudget(config)) return rows;
  if (config.budget_tokens > 0) rows = config.budget_tokens;
  if (config.budget_fraction > 0.0) {
    rows = static_cast<int64_t>(std::floor(config.budget_fraction * context));
    // What is always exact does not shrink with a short context.
    rows = RowsForAllShards(config, shape, rows);
  }
  if (config.budget_bytes > 0) {
    rows = RowsIn(
        config.budget_bytes - shape.token_shards * FixedCost(config, shape),
        config.sink_tokens + config.recent_tokens, config,
        LayoutOf(config, shape));
  }
  if (rows >= context) return context;
  const bool fills = config.policy == "window";
  const int64_t least = LeastRows(config);
  if (rows >= least) return rows;
  return absl::InvalidArgumentError(absl::StrCat(
      BudgetName(config, rows),
      " a KV head: cache.sink_tokens = ", config.sink_tokens,
      fills ? std::string()
            : absl::StrCat(" and cache.recent_tokens = ", config.recent_tokens),
      " need at least ", least, "; raise the budget or lower them"));
}

int64_t RecentTokens(const CacheConfig& config, int64_t budget_rows) {
  // A row is quantized when it leaves the window, and those in it are dear.
  const auto format = ParseRowFormat(config.row_format);
  if (format.ok() && IsQuantized(*format)) return config.recent_tokens;
  const double part = config.recent_fraction * static_cast<double>(budget_rows);
  return std::max(config.recent_tokens, static_cast<int64_t>(part));
}

// Of a budget of so many rows.
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
  const int64_t rows =
      config.budget_bytes > 0
          ? RowsIn(Share(config.budget_bytes, shape, token_shard) -
                       FixedCost(config, shape),
                   exact, config, LayoutOf(config, shape))
          : Share(budget_rows, shape, token_shard);
  return rows - exact;
}

// All but the limits.
static absl::StatusOr<CachePlan> PlanRows(const CacheConfig& config,
                                          const CacheShape& shape) {
  ASSIGN_OR_RETURN(const int64_t rows, BudgetRows(config, shape));
  CachePlan plan;
  plan.layout = LayoutOf(config, shape);
  plan.window = WindowOf(config, shape, rows);
  if (config.policy == "kivi") {  // quantizes by itself
    plan.layout = plan.layout.Exact();
    plan.window.exact_tokens = WindowShape::kEveryToken;
    plan.window.recent_tokens = config.kivi.exact_tokens;
    plan.sketch_rows = plan.window.dealing.Before(shape.context_tokens);
    return plan;
  }
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
