// For each row of a changing set its two nearest other rows, kept so that most
// changes cost no distance: where the nearest has gone, the second is it; where
// that is not known, its distance stays as a lower bound of all others, and is
// made exact only when a decision needs it.
#pragma once

#include <cstdint>
#include <functional>

#include "kernels/memory/view.h"

namespace subgen {

// row < 0: which row it is is unknown, `squared` is a lower bound. Infinite:
// there is none.
struct Neighbor {
  int32_t row = -1;
  float squared = 0.0f;

  bool known() const { return row >= 0 || squared > kMost; }
  static constexpr float kMost = 3.4028234e38f;
};

// The first of the least of numbers of which none is negative, one or more;
// what is not a number is above all.
int64_t LeastOf(Vector<const float> numbers);

// [rows] each. All rows but the nearest are at least as far as the second; if
// the nearest is unknown, both are the same bound.
struct NeighborArrays {
  Vector<int32_t> rows;
  Vector<float> squared;
  Vector<int32_t> second_rows;
  Vector<float> second_squared;
};

// A view of arrays with room for size() rows and what Add adds.
class NeighborTable {
 public:
  // Fills the squared distances of a row to all rows of the table, [size()].
  using DistancesOf = std::function<void(int64_t row, Vector<float> squared)>;

  NeighborTable(const NeighborArrays& arrays, int64_t size)
      : all_(arrays), size_(size) {}

  int64_t size() const { return size_; }
  Neighbor operator[](int64_t row) const {
    return {all_.rows[row], all_.squared[row]};
  }

  // Adds a row at these distances to the present ones, [size()].
  void Add(Vector<const float> squared);
  // The last row takes the place of the one that goes.
  void Remove(int64_t row);
  // Makes a row exact. Its own entry is not read.
  void Set(int64_t row, Vector<const float> squared);

  // The row of the least weight * squared distance to its neighbor, which is
  // exact then; the first of equals. weights: [size()], none negative; empty:
  // all 1. size() >= 1.
  int64_t Least(Vector<const float> weights, const DistancesOf& distances_of);
  // Squared distance of a row to the nearest one other than `partner`.
  float Rest(int64_t row, int64_t partner,
             const DistancesOf& distances_of) const;

 private:
  NeighborArrays all_;
  int64_t size_;
};

}  // namespace subgen
