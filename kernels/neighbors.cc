#include "kernels/neighbors.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <vector>

#include "kernels/base/check.h"

namespace subgen {
namespace {

constexpr Neighbor kNone = {-1, std::numeric_limits<float>::infinity()};

// Returns the nearest row other than `row` and `but`. A NaN distance is no
// neighbor, as it is not less than anything.
Neighbor Nearest(int64_t row, int64_t but, Vector<const float> squared) {
  Neighbor nearest = kNone;
  for (int64_t i = 0; i < static_cast<int64_t>(squared.size()); ++i) {
    if (!(squared[i] < nearest.squared) || i == row || i == but) continue;
    nearest = {static_cast<int32_t>(i), squared[i]};
  }
  return nearest;
}

}  // namespace

// The numbers are compared as integers, because floats without a sign have the
// same order as their bits, and loops over integers can be vectorized.
int64_t LeastOf(Vector<const float> scores) {
  const auto bits = [&](size_t i) {
    return std::bit_cast<int32_t>(scores[i]) & 0x7fffffff;
  };
  int32_t least = bits(0);
  for (size_t i = 1; i < scores.size(); ++i) {
    least = bits(i) < least ? bits(i) : least;
  }
  size_t first = 0;
  while (bits(first) != least) ++first;
  return static_cast<int64_t>(first);
}

// A row that is nearer than a bound is nearer than all rows that it bounds. The
// comparisons are therefore right for entries that are bounds too.
void NeighborTable::Add(Vector<const float> squared) {
  const int32_t added = static_cast<int32_t>(size_);
  SUBGEN_CHECK(static_cast<int64_t>(squared.size()) == size_ &&
               all_.rows.size() > squared.size());
  for (int64_t i = 0; i < size_; ++i) {
    if (squared[i] < all_.squared[i]) {
      all_.second_rows[i] = all_.rows[i];
      all_.second_squared[i] = all_.squared[i];
      all_.rows[i] = added;
      all_.squared[i] = squared[i];
    } else if (squared[i] < all_.second_squared[i]) {
      all_.second_rows[i] = added;
      all_.second_squared[i] = squared[i];
    }
  }
  Set(size_++, squared);
}

void NeighborTable::Remove(int64_t row) {
  const int32_t gone = static_cast<int32_t>(row);
  const int32_t last = static_cast<int32_t>(--size_);
  const auto renamed = [&](int32_t i) {
    return i == gone ? -1 : (i == last ? gone : i);
  };
  for (int64_t i = 0; i <= size_; ++i) {
    // Nothing is measured here. Where the second was known it becomes the
    // nearest; its distance remains as the bound of all that are further. Where
    // it was not known the entry becomes a bound, which Least makes exact only
    // if it has the least score.
    const bool promoted = all_.rows[i] == gone;
    const int32_t second = renamed(all_.second_rows[i]);
    all_.rows[i] = promoted ? second : renamed(all_.rows[i]);
    if (promoted) all_.squared[i] = all_.second_squared[i];
    all_.second_rows[i] = promoted ? -1 : second;
  }
  all_.rows[row] = all_.rows[last];
  all_.squared[row] = all_.squared[last];
  all_.second_rows[row] = all_.second_rows[last];
  all_.second_squared[row] = all_.second_squared[last];
}

void NeighborTable::Set(int64_t row, Vector<const float> squared) {
  const Neighbor nearest = Nearest(row, row, squared);
  const Neighbor second = Nearest(row, nearest.row, squared);
  all_.rows[row] = nearest.row;
  all_.squared[row] = nearest.squared;
  all_.second_rows[row] = second.row;
  all_.second_squared[row] = second.squared;
}

int64_t NeighborTable::Least(Vector<const float> weights,
                             const DistancesOf& distances_of) {
  SUBGEN_CHECK(size() >= 1);
  std::vector<float> scores(size()), squared;
  while (true) {
    for (int64_t i = 0; i < size(); ++i) {
      scores[i] =
          weights.empty() ? all_.squared[i] : weights[i] * all_.squared[i];
    }
    const int64_t least = LeastOf(scores);
    // A bound is at most the true distance, so a known entry with the least
    // score is the least of all. Only a bound that comes first must be
    // measured.
    if ((*this)[least].known()) return least;
    squared.resize(size());
    distances_of(least, squared);
    Set(least, squared);
  }
}

float NeighborTable::Rest(int64_t row, int64_t partner,
                          const DistancesOf& distances_of) const {
  std::vector<float> squared(size());
  distances_of(row, squared);
  return Nearest(row, partner, squared).squared;
}

}  // namespace subgen
