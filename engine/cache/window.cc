// StreamingLLM (Xiao et al., arXiv 2309.17453): sinks and the most recent
// tokens, which fill the budget; positions are those inside the cache.
#include "absl/strings/str_cat.h"
#include "engine/cache/policies.h"

namespace subgen {

MadePolicy MakeWindow(const PolicySetup& setup) {
  const int64_t turned = 2 * setup.shape.rotary.inverse_frequency.size();
  SUBGEN_CHECK(turned <= setup.shape.head_dim, turned,
               " numbers are rotated in ", setup.shape.head_dim);
  SketchPolicyOptions options = setup.Options("window");
  options.reindex_sinks = true;
  return std::make_unique<SketchPolicy>(std::move(options), *setup.backend);
}

}  // namespace subgen
