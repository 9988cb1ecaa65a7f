// SubGen as its paper's experiments run it (arXiv 2402.06082, section 4.1): the
// budget holds centres of clusters of keys, each with its own key and value.
//   once:   of the whole prompt, by greedy k-center, farthest first.
//   stream: where all rows are taken, a token that leaves the window joins the
//           centres and the two closest of them merge: the one nearer to the
//           rest goes, the other takes its count. O(k d) a token.
#include <cmath>

#include "absl/strings/str_cat.h"
#include "engine/cache/farthest_first.h"
#include "engine/cache/nearest_two.h"
#include "engine/cache/policies.h"

namespace subgen {
namespace {

struct KCenterOptions {
  int64_t limit = 0;  // centres
  double count_exponent = 0.0;
};

class KCenterSketch final : public Sketch {
 public:
  KCenterSketch(const SketchPlace& place, const KCenterOptions& options)
      : place_(place),
        options_(options),
        store_(place.layout, options.limit),
        counts_(options.limit),
        bias_(weighted() ? options.limit : 0),
        table_(options.limit + 1) {}  // with the token at hand

  int64_t DistanceColumns() const override {
    return Overflows(kMostTokens) ? options_.limit + kMostTokens : 0;
  }
  void AddDistances(const LeavingTokens& tokens, Matrix<float> squared,
                    std::vector<DistanceTask>* tasks) const override {
    if (!Overflows(tokens.count())) return;
    AddTokenDistances(tokens, store_.View().keys, squared, tasks);
  }
  void Insert(const LeavingTokens& tokens,
              Matrix<const float> squared) override;
  void InsertPrompt(const LeavingTokens& tokens, Backend& backend) override;

  void AddRows(std::vector<WeightedRows>* out) const override;
  int64_t rows() const override { return store_.size(); }
  int64_t bytes() const override {
    return store_.bytes() + counts_.bytes() + bias_.bytes() + table_.bytes();
  }
  void Save(ByteWriter* out) const override;
  absl::Status Load(ByteReader* in, int64_t entered) override;

 private:
  bool weighted() const { return options_.count_exponent != 0.0; }
  bool Overflows(int64_t tokens) const {
    return store_.size() + tokens > options_.limit;
  }
  void SetRow(int64_t i, EncodedRow row, int32_t count);
  void Link();
  // Puts a token among the centres, at squared distances [limit] from them, and
  // merges the closest pair. Returns the row that it took, or `limit`.
  int64_t Merge(EncodedRow token, Vector<const float> squared);
  void AddCount(int64_t i, int32_t count);

  SketchPlace place_;
  KCenterOptions options_;
  RowStore store_;
  Column<int32_t> counts_;  // tokens that a centre stands for
  Column<float> bias_;      // count_exponent * log(count), where weighted
  NeighborTable table_;     // empty until the centres first overflow
};

void KCenterSketch::SetRow(int64_t i, EncodedRow row, int32_t count) {
  if (i == store_.size()) {
    counts_.Resize(i + 1);
    if (weighted()) bias_.Resize(i + 1);
  }
  store_.Set(i, row);
  counts_[i] = 0;
  AddCount(i, count);
}

void KCenterSketch::AddCount(int64_t i, int32_t count) {
  counts_[i] += count;
  if (!weighted()) return;
  bias_[i] = static_cast<float>(options_.count_exponent * std::log(counts_[i]));
}

void KCenterSketch::Insert(const LeavingTokens& tokens,
                           Matrix<const float> squared) {
  const int64_t before = store_.size(), limit = options_.limit;
  // Column of `squared` that holds the distances to each row.
  std::vector<int64_t> column(Overflows(tokens.count()) ? limit : 0);
  for (size_t row = 0; row < column.size(); ++row) {
    column[row] = row;  // rows from `before` on are set below
  }
  std::vector<float> distances(column.size());
  for (int64_t i = 0; i < tokens.count(); ++i) {
    int64_t row = store_.size();
    if (!Overflows(1)) {
      SetRow(row, tokens.row(i), 1);
    } else {
      for (int64_t j = 0; j < limit; ++j) {
        distances[j] = squared.row(i)[column[j]];
      }
      row = Merge(tokens.row(i), distances);
    }
    if (row < static_cast<int64_t>(column.size())) column[row] = before + i;
  }
}

int64_t KCenterSketch::Merge(EncodedRow token, Vector<const float> squared) {
  if (table_.size() == 0) Link();
  const int64_t last = options_.limit;  // the row of the token in table_
  const NeighborTable::DistancesOf distances_of = [&](int64_t row,
                                                      Vector<float> out) {
    std::vector<float> key(place_.layout.head_dim);
    store_.DecodeKey(row, key);
    const DistanceTask task = {key, store_.View().keys, out.first(last)};
    place_.backend->Distances({&task, 1});
    out[last] = squared[row];
  };
  table_.Add(squared);
  const auto [a, b] = table_.ClosestPair(distances_of);
  const int64_t low = std::min(a, b), high = std::max(a, b);
  const float low_rest = table_.Rest(low, high, distances_of);
  const float high_rest = table_.Rest(high, low, distances_of);
  const int64_t drop = low_rest < high_rest ? low : high;
  table_.Remove(drop);
  if (drop == last) {
    AddCount(low, 1);
  } else if (high == last) {
    SetRow(low, token, counts_[low] + 1);
  } else {
    AddCount(drop == low ? high : low, counts_[drop]);
    SetRow(drop, token, 1);
  }
  return drop;
}

// All neighbours at once, in pieces of kMostTokens rows.
void KCenterSketch::Link() {
  const int64_t rows = store_.size(), dim = place_.layout.head_dim;
  table_.Reset(rows);
  std::vector<float> points(kMostTokens * dim), squared(kMostTokens * rows);
  const Matrix<float> point(points.data(), kMostTokens, dim);
  const Matrix<float> distance(squared.data(), kMostTokens, rows);
  for (int64_t first = 0; first < rows; first += kMostTokens) {
    const int64_t count = std::min(kMostTokens, rows - first);
    std::vector<DistanceTask> tasks;
    for (int64_t i = 0; i < count; ++i) {
      store_.DecodeKey(first + i, point.row(i));
      tasks.push_back({point.row(i), store_.View().keys, distance.row(i)});
    }
    place_.backend->Distances(tasks);
    for (int64_t i = 0; i < count; ++i) table_.Set(first + i, distance.row(i));
  }
}

void KCenterSketch::InsertPrompt(const LeavingTokens& tokens,
                                 Backend& backend) {
  if (tokens.count() <= options_.limit) {
    for (int64_t i = 0; i < tokens.count(); ++i) SetRow(i, tokens.row(i), 1);
    return;
  }
  const Centers centers = FarthestFirst(tokens.keys, options_.limit, backend);
  for (size_t i = 0; i < centers.rows.size(); ++i) {
    SetRow(i, tokens.row(centers.rows[i]), centers.counts[i]);
  }
}

void KCenterSketch::AddRows(std::vector<WeightedRows>* out) const {
  WeightedRows rows = store_.View();
  rows.partition_bias = rows.value_bias = bias_.span();
  out->push_back(rows);
}

void KCenterSketch::Save(ByteWriter* out) const {
  store_.Save(out);
  counts_.Save(out);
  table_.Save(out);
}

absl::Status KCenterSketch::Load(ByteReader* in, int64_t entered) {
  RETURN_IF_ERROR(store_.Load(in));
  RETURN_IF_ERROR(counts_.Load(in));
  RETURN_IF_ERROR(table_.Load(in));
  RETURN_IF_ERROR(CheckSaved(
      counts_.size() == store_.size() && store_.size() <= entered &&
          (table_.size() == 0 ||
           (table_.size() == store_.size() && table_.size() == options_.limit)),
      "the number of centres"));
  int64_t sum = 0;
  if (weighted()) bias_.Resize(store_.size());
  for (int64_t i = 0; i < store_.size(); ++i) {
    RETURN_IF_ERROR(CheckSaved(counts_[i] >= 1, "a count"));
    sum += counts_[i];
    AddCount(i, 0);
  }
  return CheckSaved(sum == entered, "the sum of the counts");
}

absl::Status CheckKCenter(const SubgenConfig& config) {
  if (!(config.count_exponent >= 0.0 && config.count_exponent <= 1.0)) {
    return absl::InvalidArgumentError(
        absl::StrCat("cache.subgen.count_exponent = ", config.count_exponent,
                     ": legal is 0 to 1"));
  }
  return absl::OkStatus();
}

}  // namespace

MadePolicy MakeKCenter(const PolicySetup& setup) {
  const SubgenConfig& config = setup.config.subgen;
  RETURN_IF_ERROR(CheckKCenter(config));
  SketchPolicyOptions options = setup.Options(
      absl::StrCat("subgen k_center exponent ", config.count_exponent));
  const KCenterOptions k_center = {setup.plan.sketch_rows,
                                   config.count_exponent};
  options.make_sketch = [k_center](const SketchPlace& place) {
    return std::make_unique<KCenterSketch>(place, k_center);
  };
  return std::make_unique<SketchPolicy>(std::move(options), *setup.backend);
}

}  // namespace subgen
