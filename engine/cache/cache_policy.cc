#include "engine/cache/cache_policy.h"

#include "engine/cache/budget.h"
#include "engine/cache/layer_cache.h"
#include "engine/cache/policy_table.h"
#include "kernels/base/status_macros.h"

namespace subgen {

absl::StatusOr<std::unique_ptr<CachePolicy>> MakeCachePolicy(
    const CacheConfig& config, const CacheShape& shape, StepWork& work) {
  SUBGEN_CHECK(shape.kv_heads >= 0 && shape.first_kv_head >= 0 &&
               shape.layer >= 0 && shape.head_dim > 0 && shape.group > 0);
  SUBGEN_CHECK(shape.slots > 0 && shape.token_shards > 0 &&
               shape.token_block > 0 && shape.token_shard >= 0 &&
               shape.token_shard < shape.token_shards);
  ASSIGN_OR_RETURN(const PolicyEntry* const policy, PolicyNamed(config.policy));
  ASSIGN_OR_RETURN(CachePlan plan, PlanCache(config, shape));
  plan.layout.mirror = work.backend().mirror();
  const PolicySetup setup = {config, shape, plan};
  if (policy->check != nullptr) RETURN_IF_ERROR(policy->check(setup));
  return std::make_unique<LayerCache>(*policy, setup, work);
}

}  // namespace subgen
