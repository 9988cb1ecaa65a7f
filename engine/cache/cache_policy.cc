#include "engine/cache/cache_policy.h"

#include "absl/strings/str_cat.h"
#include "engine/cache/policies.h"
#include "kernels/base/status_macros.h"

namespace subgen {
namespace {

struct NamedPolicy {
  absl::string_view name;
  MadePolicy (*make)(const PolicySetup& setup);
};

constexpr NamedPolicy kPolicies[] = {
    {"exact", MakeExact},
    {"window", MakeWindow},
    {"heavy_hitter", MakeHeavyHitter},
    {"uniform", MakeUniform},
    {"key_diff", MakeKeyDiff},
    {"snap_kv", MakeSnapKv},
    {"kivi", MakeKivi},
    {"subgen", MakeSubgen},
};

const NamedPolicy* FindPolicy(absl::string_view name) {
  for (const NamedPolicy& policy : kPolicies) {
    if (policy.name == name) return &policy;
  }
  return nullptr;
}

void CheckShape(const CacheShape& shape) {
  SUBGEN_CHECK(shape.kv_heads >= 0 && shape.first_kv_head >= 0 &&
               shape.layer >= 0 && shape.head_dim > 0 && shape.group > 0);
  SUBGEN_CHECK(shape.slots > 0 && shape.token_shards > 0 &&
               shape.token_block > 0 && shape.token_shard >= 0 &&
               shape.token_shard < shape.token_shards);
}

}  // namespace

Matrix<const float> LayerStep::Queries(const Chunk& chunk, int kv_head) const {
  return queries.Rows((kv_head * tokens + chunk.first) * group,
                      static_cast<int64_t>(chunk.count) * group);
}

Matrix<const float> LayerStep::Keys(const Chunk& chunk, int kv_head) const {
  return keys.Rows(kv_head * owned + chunk.first_owned, chunk.owned_count);
}

Matrix<const float> LayerStep::Values(const Chunk& chunk, int kv_head) const {
  return values.Rows(kv_head * owned + chunk.first_owned, chunk.owned_count);
}

Vector<const int64_t> LayerStep::Positions(const Chunk& chunk) const {
  return owned_positions.subspan(chunk.first_owned, chunk.owned_count);
}

Vector<const int> LayerStep::Tokens(const Chunk& chunk) const {
  return owned_tokens.subspan(chunk.first_owned, chunk.owned_count);
}

SoftmaxPartials LayerStep::Partials(const SoftmaxPartials& all,
                                    const Chunk& chunk, int kv_head) const {
  return all.Rows((kv_head * tokens + chunk.first) * group,
                  static_cast<int64_t>(chunk.count) * group);
}

Vector<const float> LayerStep::PerQuery(Vector<const float> all,
                                        const Chunk& chunk, int kv_head) const {
  return all.subspan((kv_head * tokens + chunk.first) * group,
                     static_cast<int64_t>(chunk.count) * group);
}

AttentionTask LayerStep::TaskInside(const Chunk& chunk, int kv_head,
                                    const SoftmaxPartials& all) const {
  AttentionTask task;
  task.queries = Queries(chunk, kv_head);
  task.rows.keys = FloatRows(Keys(chunk, kv_head));
  task.rows.values = FloatRows(Values(chunk, kv_head));
  task.row_token = Tokens(chunk);
  task.group = group;
  task.out = Partials(all, chunk, kv_head);
  return task;
}

void CachePolicy::Observe(const LayerStep&, Vector<const float>) {}

// FNV-1a: as long as a fingerprint is, whatever the number of heads.
static uint64_t Digest(const std::vector<HeadLimits>& limits) {
  uint64_t digest = 0xcbf29ce484222325;
  const auto add = [&](int64_t number) {
    digest = (digest ^ static_cast<uint64_t>(number)) * 0x100000001b3;
  };
  for (const HeadLimits& step : limits) {
    add(step.after);
    for (const int64_t rows : step.rows) add(rows);
  }
  return digest;
}

SketchPolicyOptions PolicySetup::Options(absl::string_view fingerprint) const {
  const WindowShape& window = plan.window;
  SketchPolicyOptions options;
  options.fingerprint = absl::StrCat(
      fingerprint, " ", RowFormatName(plan.layout.format), " x ",
      shape.head_dim, ", layer ", shape.layer, " KV heads ",
      shape.first_kv_head, "+", shape.kv_heads, ", token shard ",
      shape.token_shard, "/", shape.token_shards, " block ", shape.token_block,
      ", sinks ", window.sink_tokens, " recent ", window.recent_tokens,
      " sketch ", plan.sketch_rows, " limits ",
      absl::Hex(Digest(plan.limits), absl::kZeroPad16));
  absl::StrAppend(&options.fingerprint, " exact ", window.exact_tokens,
                  " seed ", config.seed, " ", config.when);
  options.shape = shape;
  options.plan = plan;
  options.seed = config.seed;
  options.once = config.when == "once";
  if (TransformsRows(config)) {
    options.transform.emplace(shape.head_dim);
    options.fingerprint += " turned";
  }
  return options;
}

absl::StatusOr<std::unique_ptr<CachePolicy>> MakeCachePolicy(
    const CacheConfig& config, const CacheShape& shape, Backend& backend) {
  CheckShape(shape);
  const NamedPolicy* policy = FindPolicy(config.policy);
  if (policy == nullptr) {
    std::string legal;
    for (const NamedPolicy& p : kPolicies) {
      absl::StrAppend(&legal, legal.empty() ? "" : ", ", p.name);
    }
    return absl::InvalidArgumentError(
        absl::StrCat("cache.policy = ", config.policy, ": legal are ", legal));
  }
  ASSIGN_OR_RETURN(CachePlan plan, PlanCache(config, shape));
  plan.layout.mirror = backend.mirror();
  return policy->make({config, shape, plan, &backend});
}

}  // namespace subgen
