// Keeps one head's centers while tokens join them: the links to the nearest
// neighbors, and the choice of the row that goes. It does with vectors what
// reference/k_center.cc does with NeighborTable. The file is compiled once per
// target.
#if defined(SUBGEN_KERNELS_CPU_CENTER_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SUBGEN_KERNELS_CPU_CENTER_ROWS_INL_H_
#undef SUBGEN_KERNELS_CPU_CENTER_ROWS_INL_H_
#else
#define SUBGEN_KERNELS_CPU_CENTER_ROWS_INL_H_
#endif

#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "kernels/cpu/cache/k_center.h"
#include "kernels/cpu/cache/k_center_distances-inl.h"
#include "kernels/mean_key.h"
#include "kernels/neighbors.h"

HWY_BEFORE_NAMESPACE();
namespace subgen::cpu::HWY_NAMESPACE {

class CenterRows {
 public:
  // scratch must have Floats(task) floats.
  CenterRows(const CenterTask& task, const TokenDistances& given,
             float* scratch)
      : task_(task),
        metric_(task.metric),
        arrays_(task.centers),
        links_(task.centers.neighbors),
        given_(given),
        mean_(arrays_.totals.subspan(1)),
        limit_(arrays_.limit),
        rows_(task.rows),
        entered_(task.entered),
        stride_(Width(task)),
        distances_(task, stride_, scratch + 4 * stride_) {
    for (float** array : {&squared_, &weights_, &scores_, &others_}) {
      *array = scratch;
      scratch += stride_;
    }
    kept_ = KeptDistances(scratch + CenterDistances::Floats(task, stride_),
                          stride_);
  }
  static int64_t Floats(const CenterTask& task) {
    const int64_t width = Width(task);
    return 4 * width + CenterDistances::Floats(task, width) +
           KeptDistances::Floats(task, width);
  }

  // Drops the least center while there are more than the limit.
  void Shrink() {
    if (rows_ <= limit_) return;
    SetFactor();
    // Where most rows go, all distances are measured once in advance. Otherwise
    // only those of rows are measured whose neighbor has gone.
    if (KeptDistances::Pays(task_)) kept_.Measure(rows_, factor_, &distances_);
    for (size_ = rows_; rows_ > limit_;) {
      WeighRows();
      const int64_t drop = Choose(), heir = links_.rows[drop];
      if (heir >= 0 && metric_.counted()) AddCount(heir, arrays_.counts[drop]);
      Remove(drop);
      MoveRow(--rows_, drop);
      kept_.Move(rows_, drop);
    }
    kept_.Clear();
  }

  void Insert(int64_t token) {
    Enter(token);
    Compare(token);
    if (rows_ == limit_) return Exchange(token);
    SetRow(rows_++, token);
  }

 private:
  // There is room for all links, and a vector behind them, so that loops may
  // read and write whole vectors.
  static int64_t Width(const CenterTask& task) {
    return PaddedWidth(task.most_rows() + 1) + kLanes;
  }

  void Enter(int64_t token) {
    ++entered_;
    AddToTotals(metric_, given_.keys.row(token), given_.values.row(token),
                arrays_.totals);
    SetFactor();
  }

  void SetFactor() {
    factor_ =
        metric_.ValueFactor(arrays_.totals[0] / static_cast<double>(entered_));
  }

  // Copies a row whose number changes; its links have moved already.
  void MoveRow(int64_t from, int64_t to) {
    if (from == to) return;
    const int64_t bytes = RowBytes(arrays_.format, arrays_.dim);
    std::memcpy(arrays_.keys + to * bytes, arrays_.keys + from * bytes, bytes);
    std::memcpy(arrays_.values + to * bytes, arrays_.values + from * bytes,
                bytes);
    if (!metric_.counted()) return;
    arrays_.counts[to] = arrays_.counts[from];
    arrays_.bias[to] = arrays_.bias[from];
  }

  void AddCount(int64_t i, int32_t count) {
    if (!metric_.counted()) return;
    arrays_.counts[i] += count;
    arrays_.bias[i] = metric_.Bias(arrays_.counts[i]);
  }

  // Puts a token into row i. Tokens that follow are as far from the row as from
  // the token, so their distances are copied, not measured again.
  void SetRow(int64_t i, int64_t token) {
    const int64_t bytes = RowBytes(arrays_.format, arrays_.dim);
    std::memcpy(arrays_.keys + i * bytes, task_.keys.row(token), bytes);
    std::memcpy(arrays_.values + i * bytes, task_.values.row(token), bytes);
    if (metric_.counted()) {
      arrays_.counts[i] = 1;
      arrays_.bias[i] = 0.0f;
    }
    for (const TokenDistances::Part* part :
         {&given_.of_keys, &given_.of_directions, &given_.of_values}) {
      if (part->centers.data == nullptr) continue;
      for (int64_t later = token + 1; later < task_.tokens(); ++later) {
        part->centers.row(later)[i] = part->tokens.row(later)[token];
      }
    }
  }

  void Exchange(int64_t token) {
    const int64_t last = rows_, drop = Choose();
    const int64_t heir = links_.rows[drop];  // < 0: there is none
    Remove(drop);
    if (drop == last) {
      if (heir >= 0) AddCount(heir, 1);
      return;
    }
    const int32_t count = metric_.counted() ? arrays_.counts[drop] : 0;
    SetRow(drop, token);
    if (heir >= 0) AddCount(heir == last ? drop : heir, count);
  }

  template <class DV>
  HWY_INLINE hn::Vec<DV> Weigh(DV d, hn::Vec<DV> alignment) const {
    const auto zero = hn::Zero(d);
    auto away = hn::Sub(hn::Set(d, 1.0f),
                        hn::Mul(hn::Set(d, inverse_length_), alignment));
    away = hn::IfThenElse(hn::Gt(away, zero), away, zero);
    const auto square = hn::Mul(away, away);
    auto weight = square;
    for (int n = 1; n < metric_.distinctiveness_exponent; ++n) {
      weight = hn::Mul(weight, square);
    }
    return weight;
  }

  void SetInverseLength() {
    const double length = metric_.weighted() ? mean_.Length() : 0.0;
    inverse_length_ = static_cast<float>(length > 0.0 ? 1.0 / length : 0.0);
  }

  // Computes the weights and scores of the rows when no token is at hand.
  void WeighRows() {
    SetInverseLength();
    ForNumbers(rows_, [&](auto d, int64_t i) HWY_ATTR {
      const auto nearest = hn::LoadU(d, links_.squared.data() + i);
      if (!metric_.weighted()) return hn::StoreU(nearest, d, scores_ + i);
      const auto weight = Weigh(d, hn::LoadU(d, arrays_.alignments.data() + i));
      hn::StoreU(weight, d, weights_ + i);
      hn::StoreU(hn::Mul(weight, nearest), d, scores_ + i);
    });
  }

  // Adds the token to the links, behind the rows, and weighs all rows in the
  // same pass over their arrays.
  void Compare(int64_t token) {
    const auto row = [&](const TokenDistances::Part& part) {
      return part.centers.data == nullptr ? nullptr
                                          : part.centers.row(token).data();
    };
    const MetricRow parts = {row(given_.of_keys), row(given_.of_directions),
                             row(given_.of_values)};
    size_ = rows_ + 1;
    SetInverseLength();
    ForNumbers(rows_, [&](auto d, int64_t i) HWY_ATTR {
      const auto squared = SumOfParts(d, metric_, factor_, parts, i);
      hn::StoreU(squared, d, squared_ + i);
      const auto nearest = Nearer(d, squared, i);
      if (!metric_.weighted()) return hn::StoreU(nearest, d, scores_ + i);
      float* alignments = arrays_.alignments.data() + i;
      // Each row's alignment grows by its cosine with the token, because the
      // sum of unit keys has grown by the token's. This is O(1) per row, where
      // a new product with the sum would be O(dim).
      const auto cosine =
          hn::NegMulAdd(hn::Set(d, 0.5f), hn::LoadU(d, parts.directions + i),
                        hn::Set(d, 1.0f));
      const auto alignment = hn::Add(hn::LoadU(d, alignments), cosine);
      hn::StoreU(alignment, d, alignments);
      const auto weight = Weigh(d, alignment);
      hn::StoreU(weight, d, weights_ + i);
      hn::StoreU(hn::Mul(weight, nearest), d, scores_ + i);
    });
    if (metric_.weighted()) {
      const hn::CappedTag<float, 1> one;
      const float alignment = mean_.Alignment(given_.keys.row(token));
      arrays_.alignments[rows_] = alignment;
      weights_[rows_] = hn::GetLane(Weigh(one, hn::Set(one, alignment)));
    }
    // A row is no neighbor of its own. SetNearest takes the nearest out of what
    // it is given, and the distances are needed again, so it gets a copy.
    squared_[rows_] = std::numeric_limits<float>::infinity();
    std::copy_n(squared_, size_, others_);
    SetNearest(rows_, others_);
  }

  // Makes the token a row's neighbor if it is nearer than a bound: then it is
  // nearer than all that the bound stands for. There are masks instead of
  // branches, so that the rows of a vector can differ.
  template <class DV>
  HWY_INLINE hn::Vec<DV> Nearer(DV d, hn::Vec<DV> squared, int64_t i) {
    const hn::RebindToSigned<DV> integer;
    float* const nearest = links_.squared.data() + i;
    float* const second = links_.second_squared.data() + i;
    int32_t* const rows = links_.rows.data() + i;
    int32_t* const second_rows = links_.second_rows.data() + i;
    const auto token = hn::Set(integer, static_cast<int32_t>(rows_));
    const auto old = hn::LoadU(d, nearest), old_second = hn::LoadU(d, second);
    const auto old_rows = hn::LoadU(integer, rows);
    const auto first = hn::Lt(squared, old);
    const auto better = hn::Lt(squared, old_second);
    const auto least = hn::IfThenElse(first, squared, old);
    hn::StoreU(least, d, nearest);
    hn::StoreU(
        hn::IfThenElse(first, old, hn::IfThenElse(better, squared, old_second)),
        d, second);
    const auto is_first = hn::RebindMask(integer, first);
    hn::StoreU(hn::IfThenElse(is_first, token, old_rows), integer, rows);
    const auto kept = hn::IfThenElse(hn::RebindMask(integer, better), token,
                                     hn::LoadU(integer, second_rows));
    hn::StoreU(hn::IfThenElse(is_first, old_rows, kept), integer, second_rows);
    return least;
  }

  // Takes the nearest row out of the distances. There is none if they are all
  // NaN or infinite.
  Neighbor TakeNearest(float* squared) const {
    constexpr float kFar = std::numeric_limits<float>::infinity();
    const int64_t nearest = LeastOf(squared, size_);
    if (!(squared[nearest] <= Neighbor::kMost)) return {-1, kFar};
    return {static_cast<int32_t>(nearest),
            std::exchange(squared[nearest], kFar)};
  }

  // Makes the links of a row exact. squared: padded, infinite at the row
  // itself; the nearest are taken out, so that the same search finds the
  // second.
  void SetNearest(int64_t row, float* squared) {
    const Neighbor nearest = TakeNearest(squared);
    const Neighbor second = TakeNearest(squared);
    links_.rows[row] = nearest.row;
    links_.squared[row] = nearest.squared;
    links_.second_rows[row] = second.row;
    links_.second_squared[row] = second.squared;
    scores_[row] =
        metric_.weighted() ? weights_[row] * nearest.squared : nearest.squared;
  }

  // Sets the distances from a row to the token and to itself. The former is
  // known from the token's side.
  void SetToken(int64_t row, float* squared) const {
    if (size_ > rows_) squared[rows_] = squared_[row];
    squared[row] = std::numeric_limits<float>::infinity();
  }

  // Fills others_ with the distances from a row to all others and the token; it
  // is infinite at the row itself.
  void Others(int64_t row) {
    if (row == rows_) {
      std::copy_n(squared_, size_, others_);
      return;
    }
    if (kept_.empty()) {
      distances_.Measure(row, 1, rows_, factor_, others_);
    } else {
      kept_.Get(row, rows_, others_);
    }
    SetToken(row, others_);
  }

  float Rest(int64_t row, int64_t partner) {
    Others(row);
    others_[partner] = std::numeric_limits<float>::infinity();
    return TakeNearest(others_).squared;
  }

  int64_t Choose() {
    int64_t least = LeastOf(scores_, size_);
    // A bound is never above the true distance. If the least score is a known
    // one, no bound can hide a lesser one; if it is a bound, it is measured.
    while (!NeighborTable(links_, size_)[least].known()) {
      Others(least);
      SetNearest(least, others_);
      least = LeastOf(scores_, size_);
    }
    const int64_t partner = links_.rows[least];
    if (metric_.weighted() || partner < 0) return least;
    // Of the closest pair, the row that is nearer to the rest goes. The two are
    // compared in the order of their numbers, as in every backend.
    const int64_t low = std::min(least, partner);
    const int64_t high = std::max(least, partner);
    return Rest(low, high) < Rest(high, low) ? low : high;
  }

  // Removes a row; the last row takes its place. Where its neighbor was the one
  // that goes, a row promotes its second. Nothing is measured.
  void Remove(int64_t row) {
    const int32_t gone = static_cast<int32_t>(row);
    const int32_t last = static_cast<int32_t>(--size_);
    ForNumbers(size_ + 1, [&](auto d, int64_t i) HWY_ATTR {
      const hn::RebindToSigned<decltype(d)> integer;
      const auto none = hn::Set(integer, -1), going = hn::Set(integer, gone);
      const auto renamed = [&](auto rows) HWY_ATTR {
        const auto moved =
            hn::IfThenElse(hn::Eq(rows, hn::Set(integer, last)), going, rows);
        return hn::IfThenElse(hn::Eq(rows, going), none, moved);
      };
      const auto rows = hn::LoadU(integer, links_.rows.data() + i);
      const auto second =
          renamed(hn::LoadU(integer, links_.second_rows.data() + i));
      const auto promoted = hn::Eq(rows, going);
      hn::StoreU(hn::IfThenElse(promoted, second, renamed(rows)), integer,
                 links_.rows.data() + i);
      hn::StoreU(hn::IfThenElse(promoted, none, second), integer,
                 links_.second_rows.data() + i);
      hn::StoreU(hn::IfThenElse(hn::RebindMask(d, promoted),
                                hn::LoadU(d, links_.second_squared.data() + i),
                                hn::LoadU(d, links_.squared.data() + i)),
                 d, links_.squared.data() + i);
    });
    links_.rows[row] = links_.rows[last];
    links_.squared[row] = links_.squared[last];
    links_.second_rows[row] = links_.second_rows[last];
    links_.second_squared[row] = links_.second_squared[last];
    if (metric_.weighted()) {
      arrays_.alignments[row] = arrays_.alignments[last];
    }
  }

  const CenterTask& task_;
  const CenterMetric& metric_;
  const CenterArrays& arrays_;
  const NeighborArrays& links_;
  const TokenDistances& given_;
  MeanKey mean_;
  const int64_t limit_;
  int64_t rows_, entered_;
  const int64_t stride_;  // of rows of distances
  int64_t size_ = 0;      // of the links: the rows, and the token at hand
  float factor_ = 1.0f;   // of the values
  float inverse_length_ = 0.0f;  // of the sum of unit keys
  // Each is [Width]: distances of the token, weights and scores of all,
  // distances of a row.
  float *squared_, *weights_, *scores_, *others_;
  CenterDistances distances_;
  KeptDistances kept_;  // while rows go
};

}  // namespace subgen::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
