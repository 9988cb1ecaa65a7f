// These are the caches of all layers of this rank, and how the heads of a model
// share the budget.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "engine/cache/cache_policy.h"
#include "engine/cache/step_work.h"
#include "engine/config/engine_config.h"
#include "kernels/backend.h"

namespace subgen {

// This is what the cache of this rank holds, over all layers. Sums over ranks
// are the whole: exact_bytes is counted by the first token shard of a head
// group.
struct CacheUse {
  int64_t tokens = 0;  // of the sequence
  ByteUse bytes;
  int64_t exact_bytes = 0;  // of an exact cache, not quantized
  int64_t rows = 0;
};

struct LayerCachesOptions {
  CacheConfig config;
  CacheShape shape;  // of layer 0
  int layers = 0;
  int model_kv_heads = 0;  // over all ranks
  // The shares are of all [layers * model_kv_heads]; if there are none, all
  // heads are alike.
  std::vector<HeadShares> shares;
  PolicyFactory make_policy = MakeCachePolicy;
};

// Returns how many times the mean of its heads' limits a sequence can grow to,
// where heads are to share the budget by the spread of their keys; nothing
// where they are not, or where the budget holds the whole context.
absl::StatusOr<std::optional<double>> GrowthToShare(const CacheConfig& config,
                                                    const CacheShape& shape);

class LayerCaches {
 public:
  // The backend outlives the caches.
  static absl::StatusOr<std::unique_ptr<LayerCaches>> Make(
      const LayerCachesOptions& options, Backend& backend);

  CachePolicy& operator[](int layer) { return *policies_[layer]; }
  // Ends the step after its last layer: what all heads of all layers leave to
  // their sketches is worked off together.
  void EndStep();
  // Empties the slot.
  void Forget(int slot);
  CacheUse Use(int slot) const;

  // Park and resume a sequence, in these caches or in others of the same
  // options. Load refuses what others wrote, and leaves the slot empty then.
  std::string Save(int slot) const;
  absl::Status Load(int slot, absl::string_view saved);

  // Return the settings in force, the rows per KV head that they allow, and
  // what all these caches may take.
  const CacheConfig& config() const { return config_; }
  int64_t budget_rows() const;
  int64_t most_bytes() const;

 private:
  LayerCaches(const LayerCachesOptions& options, Backend& backend)
      : config_(options.config), shape_(options.shape), work_(backend) {}
  absl::Status LoadLayers(int slot, absl::string_view saved);

  const CacheConfig config_;
  const CacheShape shape_;                              // of layer 0
  StepWork work_;                                       // of all policies
  std::vector<std::unique_ptr<CachePolicy>> policies_;  // [layers]
};

}  // namespace subgen
