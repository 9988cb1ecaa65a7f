// What is remembered of the past: one policy object for one layer, holding this
// rank's KV heads with one slot per running sequence. The rule for a layer, the
// same for a prompt chunk and for one decoded token:
//   Attend (the past and the chunk itself), merge, Observe, Append;
// and after the last layer EndStep of each.
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

// Nothing is optional: who wraps a policy derives from ForwardingPolicy
// (forwarding_policy.h), so that no call can be forgotten.
class CachePolicy {
 public:
  virtual ~CachePolicy() = default;

  // What Observe must be shown at each step.
  virtual Needs needs() const = 0;

  // out = attention of each token to the past and, inside its chunk, to those
  // up to itself; over rows of this token shard. Laid out as step.queries.
  virtual void Attend(const LayerStep& step, const SoftmaxPartials& out) = 0;
  // After the merge over ranks. log_partition: [kv_heads * tokens * group].
  // Called at each step of a policy that needs anything; keys are the chunk's
  // own.
  virtual void Observe(const LayerStep& step,
                       Vector<const float> log_partition) = 0;
  // Takes the chunk's owned tokens in, then shrinks to the budget. Called on
  // every token shard at every step, also with no owned token.
  virtual void Append(const LayerStep& step) = 0;
  // After Append in every layer: does what is done for all layers at once.
  // Until then the policy may be asked for nothing.
  virtual void EndStep() = 0;

  // The slot is empty afterwards.
  virtual void Forget(int slot) = 0;
  virtual CacheStats Stats(int slot) const = 0;
  // A sequence can be parked and resumed. Load refuses what another policy,
  // shape or setting wrote.
  virtual std::string Save(int slot) const = 0;
  virtual absl::Status Load(int slot, absl::string_view saved) = 0;
};

// By config.policy (policy_table.h). `work` is shared by all layers of an
// engine and outlives the policy. InvalidArgument for settings that are not
// legal or do not fit the shape; all token shards return the same error.
absl::StatusOr<std::unique_ptr<CachePolicy>> MakeCachePolicy(
    const CacheConfig& config, const CacheShape& shape, StepWork& work);

// MakeCachePolicy, or what measures the policies that it makes.
using PolicyFactory =
    std::function<absl::StatusOr<std::unique_ptr<CachePolicy>>(
        const CacheConfig&, const CacheShape&, StepWork&)>;

}  // namespace subgen
