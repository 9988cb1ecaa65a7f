// What makes each policy. One file a policy; a new one is added here, to the
// table in cache_policy.cc and to the README.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "engine/cache/budget.h"
#include "engine/cache/cache_policy.h"
#include "engine/cache/sketch_policy.h"

namespace subgen {

struct PolicySetup {
  CacheConfig config;
  CacheShape shape;
  CachePlan plan;
  Backend* backend = nullptr;

  // What every policy passes on; its own part of the fingerprint is added.
  SketchPolicyOptions Options(absl::string_view fingerprint) const;
};

using MadePolicy = absl::StatusOr<std::unique_ptr<CachePolicy>>;

MadePolicy MakeExact(const PolicySetup& setup);
MadePolicy MakeWindow(const PolicySetup& setup);
MadePolicy MakeHeavyHitter(const PolicySetup& setup);
MadePolicy MakeUniform(const PolicySetup& setup);
MadePolicy MakeKeyDiff(const PolicySetup& setup);
MadePolicy MakeSnapKv(const PolicySetup& setup);
MadePolicy MakeKivi(const PolicySetup& setup);
MadePolicy MakeSubgen(const PolicySetup& setup);  // by config.subgen.mode
MadePolicy MakeKCenter(const PolicySetup& setup);
MadePolicy MakeStreaming(const PolicySetup& setup);

}  // namespace subgen
