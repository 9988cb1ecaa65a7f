// A cache policy decides what is remembered of the past. There is one policy
// object per layer; it holds this rank's KV heads, with one slot per running
// sequence. A layer does the same for a prompt chunk and for one decoded token:
//   Attend (the past and the chunk itself), merge, Observe, Append;
// after the last layer, EndStep is called for each layer's policy.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "engine/cache/cache_shape.h"
#include "engine/cache/layer_step.h"
#include "engine/cache/needs.h"
#include "engine/config/engine_config.h"

namespace subgen {

class StepWork;

// Nothing is optional: whoever wraps a policy derives from ForwardingPolicy
// (forwarding_policy.h), so that no call can be forgotten.
class CachePolicy {
 public:
  virtual ~CachePolicy() = default;

  // Says what Observe must be shown at each step.
  virtual Needs needs() const = 0;
  // Returns how many positions between the sinks and the recent tokens of a
  // slot count as if they had never been (StreamingLLM, arXiv 2309.17453,
  // section 3.2): LayerStep::sink_queries go back by that many. 0 for policies
  // that keep positions as they are. It is the same in all layers.
  virtual int64_t Dropped(int slot) const = 0;

  // Sets `out` to the attention of each token to the past and, inside its
  // chunk, to the tokens up to itself, over rows of this token shard. It is
  // laid out as step.queries.
  virtual void Attend(const LayerStep& step, const SoftmaxPartials& out) = 0;
  // Is called after the merge over ranks, at each step of a policy that needs
  // anything. log_partition is [kv_heads * tokens * group]; the step's keys are
  // the chunk's own.
  virtual void Observe(const LayerStep& step,
                       Vector<const float> log_partition) = 0;
  // Takes the chunk's owned tokens in, then shrinks to the budget. It is called
  // on every token shard at every step, also if the shard owns no token of it.
  virtual void Append(const LayerStep& step) = 0;
  // Does what is done for all layers at once, after Append in every layer.
  // Between Append and EndStep the policy may be asked for nothing.
  virtual void EndStep() = 0;

  // Empties the slot.
  virtual void Forget(int slot) = 0;
  virtual CacheStats Stats(int slot) const = 0;
  // Park and resume a sequence. Load refuses what another policy, shape or
  // setting wrote.
  virtual std::string Save(int slot) const = 0;
  virtual absl::Status Load(int slot, absl::string_view saved) = 0;
};

// Makes the policy that config.policy names (policy_table.h). `work` is shared
// by all layers of an engine and outlives the policy. InvalidArgument is
// returned for settings that are not legal or do not fit the shape; all token
// shards return the same error.
absl::StatusOr<std::unique_ptr<CachePolicy>> MakeCachePolicy(
    const CacheConfig& config, const CacheShape& shape, StepWork& work);

// A factory is MakeCachePolicy, or a function that wraps its policies to
// measure them.
using PolicyFactory =
    std::function<absl::StatusOr<std::unique_ptr<CachePolicy>>(
        const CacheConfig&, const CacheShape&, StepWork&)>;

}  // namespace subgen
