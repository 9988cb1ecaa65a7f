// These policies choose nothing: they are a window, and none of what leaves it.
#include "absl/strings/str_cat.h"
#include "engine/cache/policy_entry.h"

namespace subgen {
namespace {

absl::Status CheckRotary(const PolicySetup& setup) {
  // Queries are rotated once more for the sinks, as rows of one head.
  const int64_t rotated = 2 * setup.shape.rotary.inverse_frequency.size();
  if (rotated <= setup.shape.head_dim) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("cache.policy = window: the model rotates ", rotated,
                   " numbers of a head of ", setup.shape.head_dim));
}

}  // namespace

// The window is as long as the context.
extern const PolicyEntry kExact = {
    .name = "exact", .help = "every key and value", .bounded = false};

// The window is sinks and the most recent tokens, which fill the budget.
// Positions are those inside the cache: distances are as if the dropped tokens
// had never been.
extern const PolicyEntry kWindow = {
    .name = "window",
    .source = "StreamingLLM (Xiao et al., arXiv 2309.17453)",
    .help = "the first tokens and the last",
    .reindexes_sinks = true,
    .check = CheckRotary};

}  // namespace subgen
