#include "kernels/neighbors.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <vector>

#include "kernels/base/check.h"

namespace subgen {
namespace {

constexpr Neighbor kNone = {-1, std::numeric_limits<float>::infinity()};

// What is not a number is no neighbor.
Neighbor Nearest(int64_t row, int64_t but, Vector<const float> squared) {
  Neighbor nearest = kNone;
  for (int64_t i = 0; i < static_cast<int64_t>(squared.size()); ++i) {
    if (!(squared[i] < nearest.squared) || i == row || i == but) continue;
    nearest = {static_cast<int32_t>(i), squared[i]};
  }
  return nearest;
}

}  // namespace

// As integers, which are ordered as floats of no sign are, and of which loops
// are of vectors.
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

// Nearer than a bound is nearer than all that it bounds.
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
