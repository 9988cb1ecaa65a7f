// This is SubGen's Algorithm 1 (arXiv 2402.06082) as written: the partition
// comes from clusters of keys, the value sum from samples by value norm, and
// the output is their ratio. Both sums are unbiased; the ratio is not a mean of
// values.
#include "engine/cache/policies/subgen/streaming.h"

#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "engine/cache/budget.h"
#include "engine/cache/rows/row_store.h"
#include "engine/cache/sketch_of_heads.h"
#include "kernels/base/status_macros.h"

namespace subgen {
namespace {

struct StreamingOptions {
  int64_t clusters = 0;
  int64_t samples = 1;      // t, of a cluster
  double radius = 0.0;      // delta, to start with
  int64_t value_slots = 0;  // s

  // These are the bytes of a cluster and of a value slot, everything included.
  int64_t ClusterBytes(RowLayout layout) const {
    return (samples + 1) * layout.row_bytes() + samples * sizeof(float) +
           sizeof(int32_t);
  }
  static int64_t SlotBytes(RowLayout layout) {
    return 2 * layout.row_bytes() + 3 * sizeof(float);
  }
};

// These are the arrays of kernels/algorithm1.h. How many clusters are held is
// known where these are; here there is room for as many as there may be.
class StreamingHead {
 public:
  StreamingHead(const HeadPlace& place, const StreamingOptions& options);

  void Insert(const LeavingTokens& tokens, RowOps& ops);
  void AddRows(std::vector<WeightedRows>* out) const;
  SketchSize size() const {
    return {ShownClusters() * options_.samples + slots_.size(),
            BytesOf(representatives_, samples_, slots_, counts_, sample_bias_,
                    log_norms_, slot_bias_, no_partition_, totals_)};
  }
  void Save(ByteWriter* out) const;
  absl::Status Load(ByteReader* in, int64_t entered);

 private:
  // Returns the clusters that attention reads: all that there is room for,
  // where how many are held is on a device.
  int64_t ShownClusters() const {
    if (place_.layout.mirror != nullptr) return counts_.size();
    const Vector<const int32_t> counts = counts_.span();
    return std::find(counts.begin(), counts.end(), 0) - counts.begin();
  }
  int64_t Room() const { return std::min(options_.clusters, entered_); }
  // Makes room after entered_ has grown.
  void Resize();
  ClusterArrays Arrays();
  absl::Status CheckLoaded() const;

  const HeadPlace place_;
  const StreamingOptions options_;
  int64_t entered_ = 0;
  RowStore representatives_, samples_;  // keys
  RowStore slots_;
  Column<int32_t> counts_;
  Column<float> sample_bias_, log_norms_, slot_bias_;
  Column<float> no_partition_;  // of slots: minus infinity
  Column<double> totals_;
};

StreamingHead::StreamingHead(const HeadPlace& place,
                             const StreamingOptions& options)
    : place_(place),
      options_(options),
      representatives_(place.layout, options.clusters, RowStore::Holds::kKeys),
      samples_(place.layout, options.clusters * options.samples,
               RowStore::Holds::kKeys),
      slots_(place.layout, options.value_slots),
      counts_(options.clusters, 1, 64, place.layout.mirror),
      sample_bias_(options.clusters * options.samples, 1, 64,
                   place.layout.mirror),
      log_norms_(options.value_slots, 1, 64, place.layout.mirror),
      slot_bias_(options.value_slots, 1, 64, place.layout.mirror),
      no_partition_(options.value_slots, 1, 64, place.layout.mirror),
      totals_(2, 1, 2, place.layout.mirror) {
  totals_.Resize(2);
  totals_[0] = options.radius * options.radius;
  totals_.Written(0, 2);
}

void StreamingHead::Resize() {
  const int64_t room = Room(), slots = entered_ > 0 ? options_.value_slots : 0;
  ResizeAll(room, &representatives_, &counts_);
  ResizeAll(room * options_.samples, &samples_, &sample_bias_);
  ResizeAll(slots, &slots_, &log_norms_, &slot_bias_);
  if (no_partition_.size() == slots) return;
  no_partition_.Resize(slots);
  for (float& bias : no_partition_.span()) {
    bias = -std::numeric_limits<float>::infinity();
  }
  no_partition_.Written(0, slots);
}

ClusterArrays StreamingHead::Arrays() {
  ClusterArrays arrays;
  arrays.format = place_.layout.format;
  arrays.dim = place_.layout.head_dim;
  arrays.samples = options_.samples;
  arrays.representatives = representatives_.keys();
  arrays.sample_keys = samples_.keys();
  arrays.counts = counts_.span();
  arrays.sample_bias = sample_bias_.span();
  arrays.slot_keys = slots_.keys();
  arrays.slot_values = slots_.values();
  arrays.log_norms = log_norms_.span();
  arrays.slot_bias = slot_bias_.span();
  arrays.totals = totals_.span();
  return arrays;
}

void StreamingHead::Insert(const LeavingTokens& tokens, RowOps& ops) {
  entered_ += tokens.count();
  Resize();
  const ClusterTask task = {Arrays(),    options_.clusters, place_.random,
                            tokens.keys, tokens.values,     tokens.positions};
  ops.InsertClusters({&task, 1});
}

void StreamingHead::AddRows(std::vector<WeightedRows>* out) const {
  const int64_t shown = ShownClusters() * options_.samples;
  out->push_back(samples_.View(0, shown));
  out->back().partition_bias = sample_bias_.span().first(shown);
  out->push_back(slots_.View());
  // Value samples are no part of the partition, which the clusters estimate.
  out->back().partition_bias = no_partition_.span();
  out->back().value_bias = slot_bias_.span();
}

void StreamingHead::Save(ByteWriter* out) const {
  SaveAll(out, representatives_, samples_, slots_, counts_, log_norms_,
          totals_);
}

absl::Status StreamingHead::CheckLoaded() const {
  const int64_t room = Room(), slots = entered_ > 0 ? options_.value_slots : 0;
  RETURN_IF_ERROR(CheckSaved(representatives_.size() == room &&
                                 samples_.size() == room * options_.samples &&
                                 counts_.size() == room,
                             "the number of clusters"));
  RETURN_IF_ERROR(
      CheckSaved(slots_.size() == slots && log_norms_.size() == slots,
                 "the number of value samples"));
  RETURN_IF_ERROR(
      CheckSaved(totals_.size() == 2 && totals_[0] >= 0.0 && totals_[1] >= 0.0,
                 "the radius and the norm of the values"));
  int64_t sum = 0;
  for (int64_t i = 0; i < room; ++i) {
    RETURN_IF_ERROR(CheckSaved(
        counts_[i] >= 0 && (i == 0 || counts_[i] == 0 || counts_[i - 1] > 0),
        "a count"));
    sum += counts_[i];
  }
  return CheckSaved(sum == entered_, "the sum of the counts");
}

absl::Status StreamingHead::Load(ByteReader* in, int64_t entered) {
  entered_ = entered;
  RETURN_IF_ERROR(LoadAll(in, &representatives_, &samples_, &slots_, &counts_,
                          &log_norms_, &totals_));
  RETURN_IF_ERROR(CheckLoaded());
  Resize();
  // Biases follow from counts and norms, so they are not saved.
  SetClusterBiases(Arrays());
  sample_bias_.Written(0, sample_bias_.size());
  slot_bias_.Written(0, slot_bias_.size());
  return absl::OkStatus();
}

// Shares out the bytes that `rows` plain rows would take.
StreamingOptions ShareOut(const SubgenConfig& config, RowLayout layout,
                          int64_t rows) {
  StreamingOptions options;
  const int64_t bytes = rows * 2 * layout.row_bytes();
  const int64_t slot = StreamingOptions::SlotBytes(layout);
  options.value_slots =
      static_cast<int64_t>(config.value_share * static_cast<double>(bytes)) /
      slot;
  options.samples = config.samples_per_cluster;
  options.clusters =
      (bytes - options.value_slots * slot) / options.ClusterBytes(layout);
  options.radius = config.radius;
  return options;
}

}  // namespace

PolicyCosts StreamingCosts(const CacheConfig&, const CacheShape&,
                           RowLayout layout) {
  return {2 * layout.Exact().row_bytes(), 2 * layout.row_bytes(),
          2 * static_cast<int64_t>(sizeof(double))};  // totals
}

// Each token shard looks at all, so that they agree.
absl::Status CheckStreaming(const PolicySetup& setup) {
  if (setup.plan.sketch_rows == 0) return absl::OkStatus();
  ASSIGN_OR_RETURN(const int64_t rows, BudgetRows(setup.config, setup.shape));
  for (int shard = 0; shard < setup.shape.token_shards; ++shard) {
    const int64_t own = SketchRows(setup.config, setup.shape, rows, shard);
    const StreamingOptions options =
        ShareOut(setup.config.subgen, setup.plan.layout, own);
    if (options.value_slots >= 1 && options.clusters >= 1) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "cache budget: the ", own, " rows of token shard ", shard,
        " outside its window hold ", options.clusters, " clusters and ",
        options.value_slots,
        " value samples, both must be 1 or more; raise the budget, lower "
        "cache.subgen.samples_per_cluster or change cache.subgen.value_share"));
  }
  return absl::OkStatus();
}

std::string StreamingSettings(const CacheConfig& config) {
  const SubgenConfig& subgen = config.subgen;
  return absl::StrCat("streaming t ", subgen.samples_per_cluster, " radius ",
                      subgen.radius, " value_share ", subgen.value_share, ", ");
}

SketchMaker MakeStreaming(const PolicySetup& setup) {
  const StreamingOptions options =
      ShareOut(setup.config.subgen, setup.plan.layout, setup.plan.sketch_rows);
  return [options](const SketchPlace& place) {
    return std::make_unique<SketchOfHeads<StreamingHead>>(place, options);
  };
}

}  // namespace subgen
