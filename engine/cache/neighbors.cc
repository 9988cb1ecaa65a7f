#include "engine/cache/neighbors.h"

#include <limits>
#include <vector>

namespace subgen {
namespace {

constexpr Neighbor kNone = {-1, std::numeric_limits<float>::infinity()};

// Nearer than a bound is nearer than all others. What is not a number is no
// neighbour.
void Offer(Neighbor* neighbor, Neighbor other) {
  if (other.squared < neighbor->squared) *neighbor = other;
}

Neighbor Nearest(int64_t row, int64_t but, Vector<const float> squared) {
  Neighbor nearest = kNone;
  for (int64_t i = 0; i < static_cast<int64_t>(squared.size()); ++i) {
    if (i == row || i == but) continue;
    Offer(&nearest, {static_cast<int32_t>(i), squared[i]});
  }
  return nearest;
}

}  // namespace

void NeighborTable::Add(Vector<const float> squared) {
  const int64_t row = size();
  SUBGEN_CHECK(static_cast<int64_t>(squared.size()) == row);
  for (int64_t i = 0; i < row; ++i) {
    Offer(&rows_[i], {static_cast<int32_t>(row), squared[i]});
  }
  rows_.Resize(row + 1);
  Set(row, squared);
}

void NeighborTable::Remove(int64_t row) {
  const int64_t last = size() - 1;
  for (Neighbor& neighbor : rows_.span()) {
    if (neighbor.row == row) {
      neighbor.row = -1;
    } else if (neighbor.row == last) {
      neighbor.row = static_cast<int32_t>(row);
    }
  }
  rows_[row] = rows_[last];
  rows_.Resize(last);
}

void NeighborTable::Set(int64_t row, Vector<const float> squared) {
  rows_[row] = Nearest(row, row, squared);
}

void NeighborTable::Reset(int64_t rows) {
  rows_.Resize(rows);
  for (Neighbor& neighbor : rows_.span()) neighbor = Neighbor();
}

int64_t NeighborTable::Least(Vector<const float> weights,
                             const DistancesOf& distances_of) {
  SUBGEN_CHECK(size() >= 1);
  const auto score = [&](int64_t row) {
    return weights.empty() ? rows_[row].squared
                           : weights[row] * rows_[row].squared;
  };
  std::vector<float> squared(size());
  while (true) {
    int64_t least = 0;
    for (int64_t i = 1; i < size(); ++i) {
      if (score(i) < score(least)) least = i;
    }
    if (rows_[least].known()) return least;
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

absl::Status NeighborTable::Load(ByteReader* in) {
  RETURN_IF_ERROR(rows_.Load(in));
  for (int64_t i = 0; i < size(); ++i) {
    RETURN_IF_ERROR(CheckSaved(rows_[i].row >= -1 && rows_[i].row < size() &&
                                   rows_[i].row != i &&
                                   rows_[i].squared >= 0.0f,
                               "a neighbour"));
  }
  return absl::OkStatus();
}

}  // namespace subgen
