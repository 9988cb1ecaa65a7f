// SubGen (Zandieh et al., arXiv 2402.06082): which of its two estimators.
#include "absl/strings/str_cat.h"
#include "engine/cache/policies.h"

namespace subgen {

MadePolicy MakeSubgen(const PolicySetup& setup) {
  const std::string& mode = setup.config.subgen.mode;
  if (mode == "k_center") return MakeKCenter(setup);
  if (mode == "streaming") return MakeStreaming(setup);
  return absl::InvalidArgumentError(absl::StrCat(
      "cache.subgen.mode = ", mode, ": legal is k_center or streaming"));
}

}  // namespace subgen
