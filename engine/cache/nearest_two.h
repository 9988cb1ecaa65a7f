// For each row of a changing set its two nearest other rows, kept so that most
// changes cost no distance: where a neighbour has gone, its distance stays as a
// lower bound, and is made exact only when a decision needs it.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>

#include "engine/cache/column.h"

namespace subgen {

// row < 0: which row it is is unknown, `squared` is a lower bound. Infinite:
// there is none.
struct Neighbor {
  int32_t row = -1;
  float squared = 0.0f;

  bool known() const { return row >= 0 || squared > kMost; }
  static constexpr float kMost = 3.4028234e38f;
};

struct NearestTwo {
  // second.squared >= first.squared; equal where first is unknown.
  Neighbor first, second;
};

class NeighborTable {
 public:
  // Fills the squared distances of a row to all rows of the table, [size()].
  using DistancesOf = std::function<void(int64_t row, Vector<float> squared)>;

  NeighborTable() = default;
  explicit NeighborTable(int64_t limit) : rows_(limit) {}

  int64_t size() const { return rows_.size(); }
  int64_t bytes() const { return rows_.bytes(); }

  // Adds a row at these distances to the present ones, [size()].
  void Add(Vector<const float> squared);
  // The last row takes the place of the one that goes.
  void Remove(int64_t row);
  // Makes a row exact. Its own entry is not read.
  void Set(int64_t row, Vector<const float> squared);
  // `rows` rows of which nothing is known.
  void Reset(int64_t rows);

  // The two closest rows of the table, size() >= 2.
  std::pair<int64_t, int64_t> ClosestPair(const DistancesOf& distances_of);
  // Squared distance of a row to the nearest one other than `partner`.
  float Rest(int64_t row, int64_t partner, const DistancesOf& distances_of);

  void Save(ByteWriter* out) const { rows_.Save(out); }
  absl::Status Load(ByteReader* in);

 private:
  void Refresh(int64_t row, const DistancesOf& distances_of);

  Column<NearestTwo> rows_;
};

}  // namespace subgen
