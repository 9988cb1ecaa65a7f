// For each row of a changing set, its two nearest other rows are kept, so that
// most changes cost no distance. Where the nearest row has gone, the second
// takes its place. Where the second is unknown too, its distance stays as a
// lower bound of all others, and the entry is made exact only when a decision
// needs it.
#pragma once

#include <cstdint>
#include <functional>

#include "kernels/memory/view.h"

namespace subgen {

// row < 0 means that the row is unknown and `squared` is a lower bound. If
// `squared` is infinite, there is no neighbor.
struct Neighbor {
  int32_t row = -1;
  float squared = 0.0f;

  bool known() const { return row >= 0 || squared > kMost; }
  static constexpr float kMost = 3.4028234e38f;
};

// Returns the index of the first of the least numbers. There must be at least
// one number, and none may be negative. NaN is above all others.
int64_t LeastOf(Vector<const float> numbers);

// Each array is [rows]. All rows but the nearest are at least as far as the
// second; if the nearest is unknown, both distances are the same bound.
struct NeighborArrays {
  Vector<int32_t> rows;
  Vector<float> squared;
  Vector<int32_t> second_rows;
  Vector<float> second_squared;
};

// This class is a view of arrays that have room for size() rows and for what
// Add adds.
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
  // Removes a row; the last row takes its place.
  void Remove(int64_t row);
  // Makes a row's entry exact. The row's distance to itself is not read.
  void Set(int64_t row, Vector<const float> squared);

  // Returns the row with the least product of its weight and the squared
  // distance to its neighbor, which is exact afterwards; of equal ones, the
  // first. weights: [size()], none negative; if empty, all are 1. size() >= 1.
  int64_t Least(Vector<const float> weights, const DistancesOf& distances_of);
  // Returns the squared distance from a row to the nearest one other than
  // `partner`.
  float Rest(int64_t row, int64_t partner,
             const DistancesOf& distances_of) const;

 private:
  NeighborArrays all_;
  int64_t size_;
};

}  // namespace subgen
