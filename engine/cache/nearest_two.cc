#include "engine/cache/nearest_two.h"

#include <limits>
#include <vector>

namespace subgen {
namespace {

constexpr float kInfinite = std::numeric_limits<float>::infinity();
constexpr NearestTwo kNone = {{-1, kInfinite}, {-1, kInfinite}};

// A row that the set gains. Nearer than a bound is nearer than all others. What
// is not a number is no neighbour.
void Offer(NearestTwo* two, Neighbor other) {
  if (other.squared < two->first.squared) {
    two->second = two->first;
    two->first = other;
  } else if (other.squared < two->second.squared) {
    two->second = other;
  }
}

void Forget(NearestTwo* two, int32_t row) {
  if (two->second.row == row) two->second.row = -1;
  if (two->first.row != row) return;
  two->first = two->second;
  two->second.row = -1;
}

void Rename(Neighbor* neighbor, int32_t from, int32_t to) {
  if (neighbor->row == from) neighbor->row = to;
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
  for (int64_t i = 0; i <= last; ++i) {
    Forget(&rows_[i], static_cast<int32_t>(row));
    Rename(&rows_[i].first, last, row);
    Rename(&rows_[i].second, last, row);
  }
  rows_[row] = rows_[last];
  rows_.Resize(last);
}

void NeighborTable::Set(int64_t row, Vector<const float> squared) {
  NearestTwo two = kNone;
  for (size_t i = 0; i < squared.size(); ++i) {
    if (static_cast<int64_t>(i) == row) continue;
    Offer(&two, {static_cast<int32_t>(i), squared[i]});
  }
  rows_[row] = two;
}

void NeighborTable::Reset(int64_t rows) {
  rows_.Resize(rows);
  for (NearestTwo& two : rows_.span()) two = NearestTwo();
}

void NeighborTable::Refresh(int64_t row, const DistancesOf& distances_of) {
  std::vector<float> squared(size());
  distances_of(row, squared);
  Set(row, squared);
}

std::pair<int64_t, int64_t> NeighborTable::ClosestPair(
    const DistancesOf& distances_of) {
  SUBGEN_CHECK(size() >= 2);
  while (true) {
    int64_t best = 0;
    for (int64_t i = 1; i < size(); ++i) {
      if (rows_[i].first.squared < rows_[best].first.squared) best = i;
    }
    const Neighbor first = rows_[best].first;
    if (first.row >= 0) return {best, first.row};
    // No distance is a finite number: any pair is as good.
    if (first.known()) return {size() - 2, size() - 1};
    Refresh(best, distances_of);
  }
}

float NeighborTable::Rest(int64_t row, int64_t partner,
                          const DistancesOf& distances_of) {
  const auto known = [&] {
    const NearestTwo& two = rows_[row];
    return two.first.known() &&
           (two.first.row != partner || two.second.known());
  };
  if (!known()) Refresh(row, distances_of);
  const NearestTwo& two = rows_[row];
  return two.first.row == partner ? two.second.squared : two.first.squared;
}

absl::Status NeighborTable::Load(ByteReader* in) {
  RETURN_IF_ERROR(rows_.Load(in));
  for (int64_t i = 0; i < size(); ++i) {
    for (const Neighbor& n : {rows_[i].first, rows_[i].second}) {
      RETURN_IF_ERROR(CheckSaved(
          n.row >= -1 && n.row < size() && n.row != i && n.squared >= 0.0f,
          "a neighbour"));
    }
  }
  return absl::OkStatus();
}

}  // namespace subgen
