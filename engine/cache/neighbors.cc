#include "engine/cache/neighbors.h"

#include <bit>
#include <limits>
#include <vector>

namespace subgen {
namespace {

constexpr Neighbor kNone = {-1, std::numeric_limits<float>::infinity()};

// What is not a number is no neighbour.
Neighbor Nearest(int64_t row, int64_t but, Vector<const float> squared) {
  Neighbor nearest = kNone;
  for (int64_t i = 0; i < static_cast<int64_t>(squared.size()); ++i) {
    if (!(squared[i] < nearest.squared) || i == row || i == but) continue;
    nearest = {static_cast<int32_t>(i), squared[i]};
  }
  return nearest;
}

}  // namespace

void NeighborTable::Resize(int64_t size) {
  rows_.Resize(size);
  squared_.Resize(size);
}

// Nearer than a bound is nearer than all others.
void NeighborTable::Add(Vector<const float> squared) {
  const int64_t row = size();
  SUBGEN_CHECK(static_cast<int64_t>(squared.size()) == row);
  const Vector<int32_t> rows = rows_.span();
  const Vector<float> nearest = squared_.span();
  for (int64_t i = 0; i < row; ++i) {
    const bool nearer = squared[i] < nearest[i];
    rows[i] = nearer ? static_cast<int32_t>(row) : rows[i];
    nearest[i] = nearer ? squared[i] : nearest[i];
  }
  Resize(row + 1);
  Set(row, squared);
}

void NeighborTable::Remove(int64_t row) {
  const int32_t gone = static_cast<int32_t>(row);
  const int32_t last = static_cast<int32_t>(size() - 1);
  for (int32_t& neighbor : rows_.span()) {
    const int32_t moved = neighbor == last ? gone : neighbor;
    neighbor = neighbor == gone ? -1 : moved;
  }
  rows_[row] = rows_[last];
  squared_[row] = squared_[last];
  Resize(last);
}

void NeighborTable::Set(int64_t row, Vector<const float> squared) {
  const Neighbor nearest = Nearest(row, row, squared);
  rows_[row] = nearest.row;
  squared_[row] = nearest.squared;
}

void NeighborTable::Reset(int64_t rows) {
  Resize(rows);
  for (int64_t i = 0; i < rows; ++i) {
    rows_[i] = -1;
    squared_[i] = 0.0f;
  }
}

// As integers, which are ordered as floats of no sign are, and of which loops
// are of vectors.
int64_t NeighborTable::LeastOf(Vector<const float> scores) {
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

int64_t NeighborTable::Least(Vector<const float> weights,
                             const DistancesOf& distances_of) {
  SUBGEN_CHECK(size() >= 1);
  std::vector<float> scores(size()), squared;
  while (true) {
    const Vector<const float> nearest = squared_.span();
    for (int64_t i = 0; i < size(); ++i) {
      scores[i] = weights.empty() ? nearest[i] : weights[i] * nearest[i];
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

absl::Status NeighborTable::Load(ByteReader* in) {
  RETURN_IF_ERROR(rows_.Load(in));
  RETURN_IF_ERROR(squared_.Load(in));
  RETURN_IF_ERROR(CheckSaved(squared_.size() == size(), "the neighbours"));
  for (int64_t i = 0; i < size(); ++i) {
    RETURN_IF_ERROR(CheckSaved(rows_[i] >= -1 && rows_[i] < size() &&
                                   rows_[i] != i && squared_[i] >= 0.0f,
                               "a neighbour"));
  }
  return absl::OkStatus();
}

}  // namespace subgen
