#include "kernels/reference/k_center.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "kernels/base/check.h"
#include "kernels/mean_key.h"
#include "kernels/neighbors.h"
#include "kernels/row_ops.h"

namespace subgen::reference {
namespace {

class Centers {
 public:
  Centers(RowOps& ops, const CenterTask& task)
      : ops_(ops),
        metric_(task.metric),
        arrays_(task.centers),
        mean_(arrays_.totals.subspan(1)),
        table_(arrays_.neighbors, task.rows),
        rows_(task.rows),
        entered_(task.entered) {}

  void Insert(const CenterTask& task, int64_t i);
  void Shrink() {
    while (rows_ > arrays_.limit) DropLeast();
  }

 private:
  double MeanSquare() const {
    return arrays_.totals[0] / static_cast<double>(entered_);
  }
  WeightedRows All() const {
    WeightedRows centers;
    centers.keys = arrays_.KeyRows(rows_);
    centers.values = arrays_.ValueRows(rows_);
    return centers;
  }
  RowPoint Center(int64_t i) const {
    return RowPoint(arrays_.KeyRows(rows_), arrays_.ValueRows(rows_), i);
  }
  void DropLeast();
  void Enter(const RowPoint& point) {
    ++entered_;
    AddToTotals(metric_, point.key, point.value, arrays_.totals);
  }
  void CopyRow(int64_t i, const std::byte* key, const std::byte* value);
  void SetRow(int64_t i, const CenterTask& task, int64_t token);
  void AddCount(int64_t i, int32_t count);
  void Compare(const RowPoint& point, Vector<float> squared);
  void Exchange(const CenterTask& task, int64_t token,
                Vector<const float> squared);
  // Returns the row that goes. `squared` has the distances of the token at
  // hand, which is the last of the table; it is empty if there is none.
  int64_t Choose(Vector<const float> squared);

  RowOps& ops_;
  const CenterMetric& metric_;
  const CenterArrays& arrays_;
  MeanKey mean_;
  NeighborTable table_;
  int64_t rows_, entered_;
};

void Centers::CopyRow(int64_t i, const std::byte* key, const std::byte* value) {
  const int64_t bytes = RowBytes(arrays_.format, arrays_.dim);
  std::memcpy(arrays_.keys + i * bytes, key, bytes);
  std::memcpy(arrays_.values + i * bytes, value, bytes);
}

void Centers::SetRow(int64_t i, const CenterTask& task, int64_t token) {
  CopyRow(i, task.keys.row(token), task.values.row(token));
  if (metric_.counted()) arrays_.counts[i] = 0;
  AddCount(i, 1);
}

void Centers::AddCount(int64_t i, int32_t count) {
  if (!metric_.counted()) return;
  arrays_.counts[i] += count;
  arrays_.bias[i] = metric_.Bias(arrays_.counts[i]);
}

void Centers::Insert(const CenterTask& task, int64_t i) {
  const RowPoint point(task.keys, task.values, i);
  // The totals take the token in before it is measured: its distances are
  // scaled by the mean of all tokens so far, this one included.
  Enter(point);
  std::vector<float> squared(rows_);
  Compare(point, squared);
  if (rows_ == arrays_.limit) return Exchange(task, i, squared);
  SetRow(rows_++, task, i);
}

// Measures the token, and adds it to the neighbors, behind the rows.
void Centers::Compare(const RowPoint& point, Vector<float> squared) {
  std::vector<float> directions(metric_.weighted() ? rows_ : 0);
  MetricDistances(ops_, metric_, MeanSquare(), {point, All()},
                  {squared, directions});
  for (int64_t j = 0; metric_.weighted() && j < rows_; ++j) {
    // The sum of unit keys has grown by the token's. Instead of a product with
    // the whole sum, each row adds the one cosine that is new, which follows
    // from a distance that is measured anyway. The term is the cosine.
    arrays_.alignments[j] += 1.0f - 0.5f * directions[j];  // the cosine
  }
  if (metric_.weighted()) {
    arrays_.alignments[rows_] = mean_.Alignment(point.key);
  }
  table_.Add(squared);
}

void Centers::Exchange(const CenterTask& task, int64_t token,
                       Vector<const float> squared) {
  const int64_t last = rows_, drop = Choose(squared);
  // The heir is read before Remove, which renames rows.
  const int64_t heir = table_[drop].row;  // < 0: no distance is a finite number
  table_.Remove(drop);
  if (metric_.weighted()) arrays_.alignments[drop] = arrays_.alignments[last];
  if (drop == last) {
    if (heir >= 0) AddCount(heir, 1);
    return;
  }
  // The token takes the row of the center that goes, so that no other row
  // moves. If the heir is the token itself, it is found in that row now.
  const int32_t count = metric_.counted() ? arrays_.counts[drop] : 0;
  SetRow(drop, task, token);
  if (heir >= 0) AddCount(heir == last ? drop : heir, count);
}

int64_t Centers::Choose(Vector<const float> squared) {
  const NeighborTable::DistancesOf distances_of = [&](int64_t row,
                                                      Vector<float> out) {
    // The token has no row yet, so its distances are those at hand.
    if (row == rows_) {
      std::copy(squared.begin(), squared.end(), out.begin());
      return;
    }
    MetricDistances(ops_, metric_, MeanSquare(), {Center(row), All()},
                    {out.first(rows_), {}});
    if (!squared.empty()) out[rows_] = squared[row];
  };
  std::vector<float> weights(metric_.weighted() ? table_.size() : 0);
  if (metric_.weighted()) {
    mean_.Weigh(arrays_.alignments, metric_.distinctiveness_exponent, weights);
  }
  const int64_t least = table_.Least(weights, distances_of);
  const int64_t partner = table_[least].row;
  if (metric_.weighted() || partner < 0) return least;
  // Both rows of the closest pair have the same distance to each other, so the
  // one that is nearer to the rest goes. They are compared in the order of
  // their numbers, as in every backend, so that equal rests give one decision,
  // whichever of the two was found first.
  const int64_t low = std::min(least, partner), high = std::max(least, partner);
  return table_.Rest(low, high, distances_of) <
                 table_.Rest(high, low, distances_of)
             ? low
             : high;
}

void Centers::DropLeast() {
  const int64_t drop = Choose({}), last = rows_ - 1;
  const int64_t heir = table_[drop].row;
  const int64_t bytes = RowBytes(arrays_.format, arrays_.dim);
  if (heir >= 0 && metric_.counted()) AddCount(heir, arrays_.counts[drop]);
  table_.Remove(drop);
  rows_ = last;
  if (drop == last) return;
  CopyRow(drop, arrays_.keys + last * bytes, arrays_.values + last * bytes);
  if (metric_.weighted()) arrays_.alignments[drop] = arrays_.alignments[last];
  if (!metric_.counted()) return;
  arrays_.counts[drop] = arrays_.counts[last];
  arrays_.bias[drop] = arrays_.bias[last];
}

}  // namespace

void InsertCenters(RowOps& ops, const CenterTask& task) {
  SUBGEN_CHECK(task.rows <= task.centers.limit || task.tokens() == 0);
  Centers centers(ops, task);
  centers.Shrink();
  for (int64_t i = 0; i < task.tokens(); ++i) centers.Insert(task, i);
}

}  // namespace subgen::reference
