// In greedy k-center (Gonzalez 1985) the next center is the row farthest from
// all centers so far. Where rows weigh alike, the radius of the clusters is at
// most twice the smallest possible.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "kernels/memory/view.h"

namespace subgen {

struct FarthestFirstRows {
  int64_t count = 0;  // >= 1
  // A row is as far as its squared distance times its weight, [count], none
  // negative. Empty weights are all 1.
  Vector<const float> weights;
  // Gives the squared distances of a row to all, [count].
  std::function<void(int64_t row, Vector<float> squared)> distances_of;
};

struct Centers {
  std::vector<int64_t> rows;    // ascending
  std::vector<int32_t> counts;  // rows nearest to each, itself included
};

// Returns at most k centers, k >= 1; fewer where the rest are copies of centers
// or weigh nothing. The first is the heaviest row. It takes k distance passes.
Centers FarthestFirst(const FarthestFirstRows& rows, int64_t k);

}  // namespace subgen
