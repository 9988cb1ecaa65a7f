// SubGen as its paper's experiments run it (arXiv 2402.06082, section 4.1): the
// budget holds centres of clusters, each with its own key and value.
//   once:   of the whole prompt, by greedy k-center, farthest first.
//   stream: where all rows are taken, a token that leaves the window joins the
//           centres; then the one that is nearest to another goes, and the
//           other takes its count. O(k d) a token.
// Distances are those of cache.subgen.metric, times a centre's distinctiveness,
//   w = (1 - cos(key, mean of the unit keys that left the window so far))^p,
// p = cache.subgen.distinctiveness_exponent. The paper: metric key, p = 0. In
// the stream a distance keeps the scale of its time (row_metric.h).
#include <cmath>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "engine/cache/farthest_first.h"
#include "engine/cache/mean_key.h"
#include "engine/cache/neighbors.h"
#include "engine/cache/policies.h"
#include "engine/cache/row_metric.h"

namespace subgen {
namespace {

struct KCenterOptions {
  RowMetric metric;
  int distinctiveness_exponent = 0;
  double count_exponent = 0.0;
};

class KCenterSketch final : public Sketch {
 public:
  KCenterSketch(const SketchPlace& place, const KCenterOptions& options);

  int64_t DistanceColumns() const override {
    return options_.metric.parts().size() * PartColumns();
  }
  void AddDistances(const LeavingTokens& tokens, Matrix<float> squared,
                    std::vector<DistanceTask>* tasks) const override;
  void Insert(const LeavingTokens& tokens,
              Matrix<const float> squared) override;
  void InsertPrompt(const LeavingTokens& tokens, Backend& backend) override;
  void SetLimit(int64_t rows) override;

  void AddRows(std::vector<WeightedRows>* out) const override;
  int64_t rows() const override { return store_.size(); }
  int64_t bytes() const override {
    return store_.bytes() + counts_.bytes() + bias_.bytes() + table_.bytes() +
           alignments_.bytes() + mean_.bytes();
  }
  void Save(ByteWriter* out) const override;
  absl::Status Load(ByteReader* in, int64_t entered) override;

 private:
  // The distances of a token to the rows, [limit_] for each part.
  using Parts = std::vector<std::vector<float>>;

  bool counted() const { return options_.count_exponent != 0.0; }
  bool weighted() const { return options_.distinctiveness_exponent != 0; }
  bool Overflows(int64_t tokens) const {
    return store_.size() + tokens > limit_;
  }
  int64_t PartColumns() const { return limit_ + kMostTokens; }
  double Scale() const;  // mean of |v|^2
  // Into the means.
  void Enter(const RowPoint& point);
  void SetRow(int64_t i, EncodedRow row, int32_t count);
  void AddCount(int64_t i, int32_t count);
  // Neighbours and alignments of all rows.
  void Link();
  // Takes the least of the rows out.
  void DropLeast();
  // Puts a token among the centres and takes one out. Returns the row that the
  // token took, or limit_.
  int64_t Exchange(EncodedRow token, const RowPoint& point, const Parts& parts);
  // Of all rows and the token, after it entered.
  void UpdateAlignments(const RowPoint& point, const Parts& parts);
  // The row that goes, of those of table_. `squared`: distances of the token at
  // hand, the last of them; empty: there is none.
  int64_t ChooseRow(Vector<const float> squared);
  // Squared weights of rows that entered.
  std::vector<float> PromptWeights(const Rows& keys, Backend& backend) const;

  SketchPlace place_;
  KCenterOptions options_;
  int64_t limit_;  // centres
  RowStore store_;
  Column<int32_t> counts_;    // tokens that a centre stands for, where counted
  Column<float> bias_;        // count_exponent * log(count), where counted
  NeighborTable table_;       // empty until the centres first overflow
  Column<float> alignments_;  // as table_, with mean_, where weighted
  MeanKey mean_;              // where weighted
  double value_squares_ = 0.0;
  int64_t entered_ = 0;
};

KCenterSketch::KCenterSketch(const SketchPlace& place,
                             const KCenterOptions& options)
    : place_(place),
      options_(options),
      limit_(place.rows),
      store_(place.layout, limit_),
      counts_(counted() ? limit_ : 0),
      bias_(counted() ? limit_ : 0),
      table_(limit_ + 1),  // with the token at hand
      alignments_(weighted() ? limit_ + 1 : 0) {
  if (weighted()) mean_ = MeanKey(place.layout.head_dim);
}

void KCenterSketch::AddDistances(const LeavingTokens& tokens,
                                 Matrix<float> squared,
                                 std::vector<DistanceTask>* tasks) const {
  if (!Overflows(tokens.count())) return;
  const std::vector<RowPart>& parts = options_.metric.parts();
  for (size_t p = 0; p < parts.size(); ++p) {
    const Matrix<float> columns(squared.data + p * PartColumns(), squared.rows,
                                PartColumns(), squared.stride);
    const bool of_values = parts[p] == RowPart::kValue;
    LeavingTokens compared = tokens;
    if (of_values) {
      compared.keys = tokens.values;
      compared.points = tokens.value_points;
    }
    const size_t first = tasks->size();
    const WeightedRows rows = store_.View();
    AddTokenDistances(compared, of_values ? rows.values : rows.keys, columns,
                      tasks);
    for (size_t i = first; i < tasks->size(); ++i) {
      (*tasks)[i].directions = parts[p] == RowPart::kDirection;
    }
  }
}

void KCenterSketch::SetRow(int64_t i, EncodedRow row, int32_t count) {
  if (counted() && i == store_.size()) {
    counts_.Resize(i + 1);
    bias_.Resize(i + 1);
  }
  store_.Set(i, row);
  if (counted()) counts_[i] = 0;
  AddCount(i, count);
}

void KCenterSketch::AddCount(int64_t i, int32_t count) {
  if (!counted()) return;
  counts_[i] += count;
  bias_[i] = static_cast<float>(options_.count_exponent * std::log(counts_[i]));
}

double KCenterSketch::Scale() const {
  return value_squares_ / static_cast<double>(entered_);
}

void KCenterSketch::Enter(const RowPoint& point) {
  ++entered_;
  double squares = 0.0;
  for (const float x : point.value) squares += static_cast<double>(x) * x;
  if (std::isfinite(squares)) value_squares_ += squares;
  if (weighted()) mean_.Add(point.key);
}

void KCenterSketch::Insert(const LeavingTokens& tokens,
                           Matrix<const float> squared) {
  const int64_t before = store_.size();
  // Column of each part that holds the distances to each row; rows that tokens
  // take are set below.
  std::vector<int64_t> column(Overflows(tokens.count()) ? limit_ : 0);
  std::iota(column.begin(), column.end(), int64_t{0});
  Parts parts(options_.metric.parts().size(),
              std::vector<float>(column.size()));
  for (int64_t i = 0; i < tokens.count(); ++i) {
    const RowPoint point(place_.layout, tokens.row(i));
    int64_t row = store_.size();
    if (!Overflows(1)) {
      Enter(point);
      SetRow(row, tokens.row(i), 1);
    } else {
      for (size_t p = 0; p < parts.size(); ++p) {
        for (int64_t j = 0; j < limit_; ++j) {
          parts[p][j] = squared.row(i)[p * PartColumns() + column[j]];
        }
      }
      row = Exchange(tokens.row(i), point, parts);
    }
    if (row < static_cast<int64_t>(column.size())) column[row] = before + i;
  }
}

int64_t KCenterSketch::Exchange(EncodedRow token, const RowPoint& point,
                                const Parts& parts) {
  if (table_.size() == 0) Link();
  Enter(point);
  if (weighted()) UpdateAlignments(point, parts);
  std::vector<float> squared(limit_);
  for (size_t p = 0; p < parts.size(); ++p) {
    const float factor =
        options_.metric.Factor(options_.metric.parts()[p], Scale());
    for (int64_t j = 0; j < limit_; ++j) squared[j] += factor * parts[p][j];
  }
  table_.Add(squared);
  const int64_t last = limit_, drop = ChooseRow(squared);
  const int64_t heir = table_[drop].row;  // < 0: no distance is a finite number
  table_.Remove(drop);
  if (weighted()) {
    alignments_[drop] = alignments_[last];
    alignments_.Resize(last);
  }
  if (drop == last) {
    if (heir >= 0) AddCount(heir, 1);
    return last;
  }
  const int32_t count = counted() ? counts_[drop] : 0;
  SetRow(drop, token, 1);
  if (heir >= 0) AddCount(heir == last ? drop : heir, count);
  return drop;
}

void KCenterSketch::UpdateAlignments(const RowPoint& point,
                                     const Parts& parts) {
  const std::vector<RowPart>& all = options_.metric.parts();
  const size_t directions =
      std::find(all.begin(), all.end(), RowPart::kDirection) - all.begin();
  for (int64_t j = 0; j < limit_; ++j) {
    alignments_[j] += 1.0f - 0.5f * parts[directions][j];  // the cosine
  }
  alignments_.Resize(limit_ + 1);
  alignments_[limit_] = mean_.Alignment(point.key);
}

int64_t KCenterSketch::ChooseRow(Vector<const float> squared) {
  const int64_t rows = store_.size();
  const NeighborTable::DistancesOf distances_of = [&](int64_t row,
                                                      Vector<float> out) {
    if (row == rows) {
      std::copy(squared.begin(), squared.end(), out.begin());
      return;
    }
    SumParts(options_.metric, Scale(), RowPoint(place_.layout, store_.row(row)),
             store_.View(), *place_.backend, out.first(rows));
    if (!squared.empty()) out[rows] = squared[row];
  };
  std::vector<float> weights(weighted() ? table_.size() : 0);
  mean_.Weigh(alignments_.span(), options_.distinctiveness_exponent, weights);
  const int64_t least = table_.Least(weights, distances_of);
  const int64_t partner = table_[least].row;
  if (weighted() || partner < 0) return least;
  // Of the closest pair, the one nearer to the rest.
  const int64_t low = std::min(least, partner), high = std::max(least, partner);
  return table_.Rest(low, high, distances_of) <
                 table_.Rest(high, low, distances_of)
             ? low
             : high;
}

void KCenterSketch::SetLimit(int64_t rows) {
  if (store_.size() > rows && table_.size() == 0) Link();
  while (store_.size() > rows) DropLeast();
  if (store_.size() < rows) {
    table_.Reset(0);
    alignments_.Resize(0);
  }
  limit_ = rows;
  store_.SetLimit(rows);
  table_.SetLimit(rows + 1);
  if (weighted()) alignments_.SetLimit(rows + 1);
  if (!counted()) return;
  counts_.SetLimit(rows);
  bias_.SetLimit(rows);
}

void KCenterSketch::DropLeast() {
  const int64_t drop = ChooseRow({}), last = store_.size() - 1;
  const int64_t heir = table_[drop].row;
  if (heir >= 0 && counted()) AddCount(heir, counts_[drop]);
  table_.Remove(drop);
  store_.Remove(drop);
  if (weighted()) {
    alignments_[drop] = alignments_[last];
    alignments_.Resize(last);
  }
  if (!counted()) return;
  counts_[drop] = counts_[last];
  bias_[drop] = bias_[last];
  counts_.Resize(last);
  bias_.Resize(last);
}

void KCenterSketch::Link() {
  const int64_t rows = store_.size();
  table_.Reset(rows);
  std::vector<float> squared(rows);
  if (weighted()) alignments_.Resize(rows);
  for (int64_t i = 0; i < rows; ++i) {
    const RowPoint point(place_.layout, store_.row(i));
    SumParts(options_.metric, Scale(), point, store_.View(), *place_.backend,
             squared);
    table_.Set(i, squared);
    if (weighted()) alignments_[i] = mean_.Alignment(point.key);
  }
}

std::vector<float> KCenterSketch::PromptWeights(const Rows& keys,
                                                Backend& backend) const {
  if (!weighted()) return {};
  std::vector<float> squared(keys.count), weights(keys.count);
  const std::vector<float> direction = mean_.Direction();
  const DistanceTask task = {direction, keys, squared, true};
  backend.Distances({&task, 1});
  for (float& x : squared) x = mean_.AlignmentAt(x);
  mean_.Weigh(squared, options_.distinctiveness_exponent, weights);
  return weights;
}

void KCenterSketch::InsertPrompt(const LeavingTokens& tokens,
                                 Backend& backend) {
  for (int64_t i = 0; i < tokens.count(); ++i) {
    Enter(RowPoint(place_.layout, tokens.row(i)));
  }
  if (tokens.count() <= limit_) {
    for (int64_t i = 0; i < tokens.count(); ++i) SetRow(i, tokens.row(i), 1);
    return;
  }
  WeightedRows all;
  all.keys = tokens.keys;
  all.values = tokens.values;
  const std::vector<float> weights = PromptWeights(tokens.keys, backend);
  const auto distances_of = [&](int64_t row, Vector<float> squared) {
    SumParts(options_.metric, Scale(), RowPoint(place_.layout, tokens.row(row)),
             all, backend, squared);
  };
  const Centers centers =
      FarthestFirst({tokens.count(), weights, distances_of}, limit_);
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
  alignments_.Save(out);
  mean_.Save(out);
  out->Put(value_squares_);
}

absl::Status KCenterSketch::Load(ByteReader* in, int64_t entered) {
  RETURN_IF_ERROR(store_.Load(in));
  RETURN_IF_ERROR(counts_.Load(in));
  RETURN_IF_ERROR(table_.Load(in));
  RETURN_IF_ERROR(alignments_.Load(in));
  RETURN_IF_ERROR(mean_.Load(in));
  RETURN_IF_ERROR(in->Get(&value_squares_));
  entered_ = entered;
  const int64_t rows = store_.size(), linked = table_.size();
  RETURN_IF_ERROR(
      CheckSaved(rows <= entered && counts_.size() == (counted() ? rows : 0) &&
                     (linked == 0 || (linked == rows && linked == limit_)) &&
                     alignments_.size() == (weighted() ? linked : 0),
                 "the number of centres"));
  RETURN_IF_ERROR(
      CheckSaved(std::isfinite(value_squares_) && value_squares_ >= 0.0,
                 "the size of the values"));
  if (!counted()) return absl::OkStatus();
  int64_t sum = 0;
  bias_.Resize(rows);
  for (int64_t i = 0; i < rows; ++i) {
    RETURN_IF_ERROR(CheckSaved(counts_[i] >= 1, "a count"));
    sum += counts_[i];
    AddCount(i, 0);
  }
  return CheckSaved(sum <= entered, "the sum of the counts");
}

absl::Status CheckKCenter(const SubgenConfig& config) {
  if (!(config.count_exponent >= 0.0 && config.count_exponent <= 1.0)) {
    return absl::InvalidArgumentError(
        absl::StrCat("cache.subgen.count_exponent = ", config.count_exponent,
                     ": legal is 0 to 1"));
  }
  if (config.distinctiveness_exponent < 0 ||
      config.distinctiveness_exponent > 8) {
    return absl::InvalidArgumentError(
        absl::StrCat("cache.subgen.distinctiveness_exponent = ",
                     config.distinctiveness_exponent, ": legal is 0 to 8"));
  }
  return absl::OkStatus();
}

}  // namespace

MadePolicy MakeKCenter(const PolicySetup& setup) {
  const SubgenConfig& config = setup.config.subgen;
  RETURN_IF_ERROR(CheckKCenter(config));
  ASSIGN_OR_RETURN(RowMetric metric, RowMetric::Parse(config.metric));
  if (config.distinctiveness_exponent != 0) metric = metric.WithDirections();
  SketchPolicyOptions options = setup.Options(absl::StrCat(
      "subgen k_center metric ", config.metric, " distinctiveness ",
      config.distinctiveness_exponent, " exponent ", config.count_exponent));
  const KCenterOptions k_center = {metric, config.distinctiveness_exponent,
                                   config.count_exponent};
  options.make_sketch = [k_center](const SketchPlace& place) {
    return std::make_unique<KCenterSketch>(place, k_center);
  };
  return std::make_unique<SketchPolicy>(std::move(options), *setup.backend);
}

}  // namespace subgen
