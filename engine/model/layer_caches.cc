#include "engine/model/layer_caches.h"

#include <utility>

#include "engine/cache/budget.h"
#include "engine/cache/rows/row_store.h"
#include "engine/cache/rows/serial.h"
#include "kernels/base/status_macros.h"

namespace subgen {
namespace {

// Returns the shares of one layer's heads on this rank.
std::vector<HeadShares> SharesOfLayer(const LayerCachesOptions& options,
                                      int layer) {
  std::vector<HeadShares> shares = options.shares;
  for (HeadShares& step : shares) {
    const auto first = step.shares.begin() + layer * options.model_kv_heads +
                       options.shape.first_kv_head;
    step.shares = std::vector<double>(first, first + options.shape.kv_heads);
  }
  return shares;
}

}  // namespace

absl::StatusOr<std::optional<double>> GrowthToShare(const CacheConfig& config,
                                                    const CacheShape& shape) {
  ASSIGN_OR_RETURN(const int64_t rows, BudgetRows(config, shape));
  // A budget that holds the whole context drops nothing, so there is nothing to
  // share.
  if (!SharesBySpread(config) || rows >= shape.context_tokens) {
    return std::nullopt;
  }
  // Windows are alike in all heads; what is shared is the rest.
  const double window = config.sink_tokens + RecentTokens(config, rows);
  return (shape.context_tokens - window) / (rows - window);
}

absl::StatusOr<std::unique_ptr<LayerCaches>> LayerCaches::Make(
    const LayerCachesOptions& options, Backend& backend) {
  std::unique_ptr<LayerCaches> caches(new LayerCaches(options, backend));
  CacheShape shape = options.shape;
  for (shape.layer = 0; shape.layer < options.layers; ++shape.layer) {
    shape.head_shares = SharesOfLayer(options, shape.layer);
    ASSIGN_OR_RETURN(auto policy,
                     options.make_policy(options.config, shape, caches->work_));
    caches->policies_.push_back(std::move(policy));
  }
  return caches;
}

void LayerCaches::EndStep() {
  for (const auto& policy : policies_) policy->EndStep();
}

void LayerCaches::Forget(int slot) {
  for (const auto& policy : policies_) policy->Forget(slot);
}

CacheUse LayerCaches::Use(int slot) const {
  CacheUse use;
  const RowLayout layout = {*ParseRowFormat(config_.row_format),
                            shape_.head_dim};
  for (const auto& policy : policies_) {
    const CacheStats stats = policy->Stats(slot);
    use.bytes += stats.bytes;
    use.rows += stats.rows;
    use.tokens = stats.tokens_seen;
    if (shape_.token_shard != 0) continue;  // counted once per head group
    use.exact_bytes +=
        stats.tokens_seen * shape_.kv_heads * 2 * layout.Exact().row_bytes();
  }
  return use;
}

std::string LayerCaches::Save(int slot) const {
  ByteWriter out;
  out.Put<int64_t>(std::ssize(policies_));
  for (const auto& policy : policies_) {
    const std::string saved = policy->Save(slot);
    out.Put<int64_t>(std::ssize(saved));
    out.PutAll(Vector<const char>(saved));
  }
  return std::move(out).Take();
}

absl::Status LayerCaches::Load(int slot, absl::string_view saved) {
  const absl::Status status = LoadLayers(slot, saved);
  // Some layers may have been loaded by then, and a sequence must not be in a
  // part of the layers.
  if (!status.ok()) Forget(slot);
  return status;
}

absl::Status LayerCaches::LoadLayers(int slot, absl::string_view saved) {
  ByteReader in(saved);
  int64_t layers = 0;
  RETURN_IF_ERROR(in.Get(&layers));
  RETURN_IF_ERROR(
      CheckSaved(layers == std::ssize(policies_), "the number of layers"));
  for (const auto& policy : policies_) {
    int64_t bytes = 0;
    RETURN_IF_ERROR(in.Get(&bytes));
    RETURN_IF_ERROR(
        // The number is checked before memory is taken, as nobody vouches for
        // it.
        CheckSaved(bytes >= 0 && bytes <= in.left(), "the bytes of a layer"));
    std::string layer(bytes, '\0');
    RETURN_IF_ERROR(in.GetAll(Vector<char>(layer)));
    RETURN_IF_ERROR(policy->Load(slot, layer));
  }
  return CheckSaved(in.left() == 0, "what follows the last layer");
}

int64_t LayerCaches::budget_rows() const {
  return BudgetRows(config_, shape_).value_or(0);
}

int64_t LayerCaches::most_bytes() const {
  return std::ssize(policies_) * MostCacheBytes(config_, shape_);
}

}  // namespace subgen
