// SubGen's Algorithm 1 (arXiv 2402.06082) is a mode of its policy; streaming.cc
// says how.
#pragma once

#include "engine/cache/policy_entry.h"

namespace subgen {

// These are the parts of SubGen's row in the table of policies, in this mode.
PolicyCosts StreamingCosts(const CacheConfig& config, const CacheShape& shape,
                           RowLayout layout);
absl::Status CheckStreaming(const PolicySetup& setup);
std::string StreamingSettings(const CacheConfig& config);
SketchMaker MakeStreaming(const PolicySetup& setup);

}  // namespace subgen
