// SubGen (Zandieh et al., arXiv 2402.06082) has two estimators, of which
// cache.subgen.mode chooses one.
#include "engine/cache/policies/subgen/k_center.h"
#include "engine/cache/policies/subgen/streaming.h"

namespace subgen {
namespace {

bool IsStreaming(const CacheConfig& config) {
  return config.subgen.mode == "streaming";
}

HeadBudgets Budgets(const CacheConfig& config) {
  // Algorithm 1 cannot be given another limit, so its heads keep the first.
  return IsStreaming(config) ? HeadBudgets::kEqual
                             : HeadBudgets::kSpreadByDefault;
}

PolicyCosts Costs(const CacheConfig& config, const CacheShape& shape,
                  RowLayout layout) {
  return IsStreaming(config) ? StreamingCosts(config, shape, layout)
                             : KCenterCosts(config, shape, layout);
}

absl::Status Check(const PolicySetup& setup) {
  return IsStreaming(setup.config) ? CheckStreaming(setup) : absl::OkStatus();
}

std::string Settings(const CacheConfig& config) {
  return IsStreaming(config) ? StreamingSettings(config)
                             : KCenterSettings(config);
}

SketchMaker Make(const PolicySetup& setup) {
  return IsStreaming(setup.config) ? MakeStreaming(setup) : MakeKCenter(setup);
}

}  // namespace

extern const PolicyEntry kSubgen = {
    .name = "subgen",
    .source = "SubGen (Zandieh et al., arXiv 2402.06082)",
    .help = "centers of clusters of tokens",
    .defers = true,
    .head_budgets = Budgets,
    .costs = Costs,
    .check = Check,
    .settings = Settings,
    .make = Make};

}  // namespace subgen
