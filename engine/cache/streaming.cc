// SubGen's Algorithm 1 (arXiv 2402.06082) as written: the partition from
// clusters of keys, the value sum from samples by value norm; output is their
// ratio. Both sums are unbiased; the ratio is not a mean of values.
#include <numeric>

#include "absl/strings/str_cat.h"
#include "engine/cache/clusters.h"
#include "engine/cache/policies.h"
#include "engine/cache/value_samples.h"

namespace subgen {
namespace {

struct StreamingOptions {
  ClusterOptions clusters;
  int64_t value_slots = 0;  // s
};

class StreamingSketch final : public Sketch {
 public:
  StreamingSketch(const SketchPlace& place, const StreamingOptions& options)
      : place_(place),
        columns_(options.clusters.limit + kMostTokens),
        clusters_(place, options.clusters),
        values_(place, options.value_slots) {}

  int64_t DistanceColumns() const override { return columns_; }
  void AddDistances(const LeavingTokens& tokens, Matrix<float> squared,
                    std::vector<DistanceTask>* tasks) const override {
    AddTokenDistances(tokens, clusters_.representatives(), squared, tasks);
  }
  void Insert(const LeavingTokens& tokens,
              Matrix<const float> squared) override;

  void AddRows(std::vector<WeightedRows>* out) const override {
    out->push_back(clusters_.View());
    out->push_back(values_.View());
  }
  int64_t rows() const override { return clusters_.rows() + values_.rows(); }
  int64_t bytes() const override { return clusters_.bytes() + values_.bytes(); }

  void Save(ByteWriter* out) const override {
    clusters_.Save(out);
    values_.Save(out);
  }
  absl::Status Load(ByteReader* in, int64_t entered) override {
    RETURN_IF_ERROR(clusters_.Load(in, entered));
    return values_.Load(in);
  }

 private:
  // `column` says where in `squared` the distance to each cluster stands.
  // Whether the key opened a cluster.
  bool InsertKey(EncodedRow row, Vector<const float> squared,
                 std::vector<int64_t>* column, Draws* draws);

  SketchPlace place_;
  int64_t columns_;
  Clusters clusters_;
  ValueSamples values_;
};

int64_t Nearest(Vector<const float> squared,
                const std::vector<int64_t>& column) {
  int64_t nearest = 0;
  for (size_t i = 1; i < column.size(); ++i) {
    if (squared[column[i]] < squared[column[nearest]]) nearest = i;
  }
  return nearest;
}

// Where the columns are after clusters moved: the first of those that are one
// now is its representative.
std::vector<int64_t> Moved(const std::vector<int64_t>& column,
                           const std::vector<int64_t>& place) {
  std::vector<int64_t> moved;
  for (size_t i = 0; i < place.size(); ++i) {
    if (place[i] == static_cast<int64_t>(moved.size())) {
      moved.push_back(column[i]);
    }
  }
  return moved;
}

bool StreamingSketch::InsertKey(EncodedRow row, Vector<const float> squared,
                                std::vector<int64_t>* column, Draws* draws) {
  const auto covering = [&]() -> int64_t {
    if (column->empty()) return -1;
    const int64_t nearest = Nearest(squared, *column);
    return clusters_.Covers(squared[(*column)[nearest]]) ? nearest : -1;
  };
  int64_t cluster = covering();
  if (cluster < 0 && clusters_.full()) {
    *column = Moved(*column, clusters_.Double(draws));
    cluster = covering();
    // Keys that are not numbers have no distances: nothing merged.
    if (cluster < 0 && clusters_.full()) cluster = 0;
  }
  if (cluster >= 0) {
    clusters_.Join(cluster, row, draws);
    return false;
  }
  clusters_.Open(row);
  return true;
}

void StreamingSketch::Insert(const LeavingTokens& tokens,
                             Matrix<const float> squared) {
  const int64_t before = clusters_.size();
  std::vector<int64_t> column(before);
  std::iota(column.begin(), column.end(), int64_t{0});
  for (int64_t i = 0; i < tokens.count(); ++i) {
    Draws draws(place_, tokens.positions[i]);
    if (InsertKey(tokens.row(i), squared.row(i), &column, &draws)) {
      column.push_back(before + i);
    }
    values_.Insert(tokens.row(i), &draws);
  }
  values_.UpdateBias();
}

absl::Status CheckStreaming(const SubgenConfig& config) {
  if (!(config.radius >= 0.0 && config.radius < 1e18)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "cache.subgen.radius = ", config.radius, ": legal is 0 to 1e18"));
  }
  if (config.samples_per_cluster < 1 || config.samples_per_cluster > 1024) {
    return absl::InvalidArgumentError(absl::StrCat(
        "cache.subgen.samples_per_cluster = ", config.samples_per_cluster,
        ": legal is 1 to 1024"));
  }
  if (!(config.value_share > 0.0 && config.value_share < 1.0)) {
    return absl::InvalidArgumentError(
        absl::StrCat("cache.subgen.value_share = ", config.value_share,
                     ": legal is between 0 and 1"));
  }
  return absl::OkStatus();
}

// Shares out the bytes that `rows` plain rows would take.
StreamingOptions ShareOut(const SubgenConfig& config, RowLayout layout,
                          int64_t rows) {
  StreamingOptions options;
  const int64_t bytes = rows * 2 * layout.row_bytes();
  const int64_t slot = ValueSamples::Bytes(layout);
  options.value_slots =
      static_cast<int64_t>(config.value_share * static_cast<double>(bytes)) /
      slot;
  options.clusters.samples = config.samples_per_cluster;
  options.clusters.limit =
      (bytes - options.value_slots * slot) /
      ClusterOptions::Bytes(layout, config.samples_per_cluster);
  options.clusters.radius = config.radius;
  return options;
}

// On every token shard, so that all agree.
absl::Status CheckShares(const PolicySetup& setup) {
  ASSIGN_OR_RETURN(const int64_t rows, BudgetRows(setup.config, setup.shape));
  for (int shard = 0; shard < setup.shape.token_shards; ++shard) {
    const int64_t own = SketchRows(setup.config, setup.shape, rows, shard);
    const StreamingOptions options =
        ShareOut(setup.config.subgen, setup.plan.layout, own);
    if (options.value_slots >= 1 && options.clusters.limit >= 1) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "cache budget: the ", own, " rows of token shard ", shard,
        " outside its window hold ", options.clusters.limit, " clusters and ",
        options.value_slots,
        " value samples, both must be 1 or more; raise the budget, lower "
        "cache.subgen.samples_per_cluster or change cache.subgen.value_share"));
  }
  return absl::OkStatus();
}

}  // namespace

MadePolicy MakeStreaming(const PolicySetup& setup) {
  const SubgenConfig& config = setup.config.subgen;
  RETURN_IF_ERROR(CheckStreaming(config));
  if (setup.plan.sketch_rows > 0) RETURN_IF_ERROR(CheckShares(setup));
  SketchPolicyOptions options = setup.Options(absl::StrCat(
      "subgen streaming t ", config.samples_per_cluster, " radius ",
      config.radius, " value_share ", config.value_share));
  const StreamingOptions streaming =
      ShareOut(config, setup.plan.layout, setup.plan.sketch_rows);
  options.make_sketch = [streaming](const SketchPlace& place) {
    return std::make_unique<StreamingSketch>(place, streaming);
  };
  return std::make_unique<SketchPolicy>(std::move(options), *setup.backend);
}

}  // namespace subgen
