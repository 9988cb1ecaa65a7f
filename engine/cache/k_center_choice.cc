// Which centres stay: of a stream, of a prompt at once, under a new limit.
#include <algorithm>

#include "engine/cache/farthest_first.h"
#include "engine/cache/k_center_sketch.h"

namespace subgen {

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

}  // namespace subgen
