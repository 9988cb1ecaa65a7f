// The cache policies of a transformer, and how the budget is shared out over
// its heads.
#include <algorithm>

#include "engine/cache/budget_rule.h"
#include "engine/model/head_shares.h"
#include "engine/model/transformer.h"
#include "kernels/base/status_macros.h"

namespace subgen {

CacheShape Transformer::ShapeOfCache() const {
  CacheShape shape;
  shape.kv_heads = static_cast<int>(plan_.kv_heads.count);
  shape.first_kv_head = static_cast<int>(plan_.kv_heads.first);
  shape.head_dim = config_.head_dim;
  shape.group = config_.group();
  shape.slots = options_.slots;
  shape.token_shards = grid_.shape.token_shards;
  shape.token_shard = grid_.token_shard();
  shape.token_block = grid_.shape.token_block;
  shape.context_tokens = options_.context_tokens;
  shape.step_tokens = options_.max_batch;
  shape.rotary = config_.rotary;
  return shape;
}

int64_t Transformer::budget_rows() const {
  return BudgetRows(options_.cache, ShapeOfCache()).value_or(0);
}

int64_t Transformer::most_cache_bytes() const {
  return config_.layers * MostCacheBytes(options_.cache, ShapeOfCache());
}

absl::Status Transformer::MakePolicies() {
  ASSIGN_OR_RETURN(const std::vector<HeadShares> shares, ShareOutBudget());
  CacheShape shape = ShapeOfCache();
  shape.sketch_queue = &sketch_queue_;
  for (shape.layer = 0; shape.layer < config_.layers; ++shape.layer) {
    shape.head_shares = shares;
    for (HeadShares& step : shape.head_shares) {
      const auto first = step.shares.begin() + shape.layer * config_.kv_heads +
                         shape.first_kv_head;
      step.shares = std::vector<double>(first, first + shape.kv_heads);
    }
    ASSIGN_OR_RETURN(auto policy,
                     options_.make_policy(options_.cache, shape, backend_));
    policies_.push_back(std::move(policy));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<HeadShares>> Transformer::ShareOutBudget() {
  const CacheConfig& cache = options_.cache;
  ASSIGN_OR_RETURN(const int64_t rows, BudgetRows(cache, ShapeOfCache()));
  if (!SharesBySpread(cache) || rows >= options_.context_tokens) {
    return std::vector<HeadShares>();
  }
  const double window = cache.sink_tokens + RecentTokens(cache, rows);
  const double most = (options_.context_tokens - window) / (rows - window);
  return SharesOverTime(MeasureKeySpreads(), most);
}

std::vector<double> Transformer::MeasureKeySpreads() {
  CacheShape shape = ShapeOfCache();
  CacheConfig exact;
  exact.policy = "exact";
  exact.row_format = "f32";
  std::vector<KeySpreadProbe*> probes;
  for (; shape.layer < config_.layers; ++shape.layer) {
    auto policy = MakeCachePolicy(exact, shape, backend_);
    SUBGEN_CHECK(policy.ok(), policy.status().ToString());
    auto probe = std::make_unique<KeySpreadProbe>(
        *std::move(policy), shape, hadamard_ ? &*hadamard_ : nullptr, backend_);
    probes.push_back(probe.get());
    policies_.push_back(std::move(probe));
  }
  for (int64_t i = 0; i < kMeasuredTokens;) {
    BatchRun run;
    run.position = i;
    for (; i < kMeasuredTokens &&
           static_cast<int64_t>(run.tokens.size()) < options_.max_batch;
         ++i) {
      run.tokens.push_back(MeasuredToken(i, config_.vocabulary));
    }
    Forward({run});
  }
  const int64_t size = KeySumsSize(config_.head_dim);
  std::vector<float> sums(config_.layers * config_.kv_heads * size);
  for (int64_t layer = 0; layer < config_.layers; ++layer) {
    for (int head = 0; head < shape.kv_heads; ++head) {
      const std::vector<float> mine = probes[layer]->Sums(head);
      const int64_t at =
          (layer * config_.kv_heads + shape.first_kv_head + head) * size;
      std::copy(mine.begin(), mine.end(), sums.begin() + at);
    }
  }
  policies_.clear();
  grid_.world->AllReduce(sums, ReduceOp::kSum);
  std::vector<double> spreads;
  for (size_t at = 0; at < sums.size(); at += size) {
    spreads.push_back(KeySpread(Vector<const float>(sums).subspan(at, size)));
  }
  return spreads;
}

}  // namespace subgen
