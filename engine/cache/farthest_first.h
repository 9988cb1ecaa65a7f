// Greedy k-center (Gonzalez 1985): the next centre is the row farthest from all
// centres so far. Its radius is at most twice the smallest possible.
#pragma once

#include <vector>

#include "kernels/backend.h"

namespace subgen {

struct Centers {
  std::vector<int64_t> rows;    // ascending; row 0 is the first one chosen
  std::vector<int32_t> counts;  // rows nearest to each, itself included
};

// At most k centres, k >= 1; fewer where the rest are copies of centres.
// O(rows k dim). rows.count >= 1.
Centers FarthestFirst(const Rows& rows, int64_t k, Backend& backend);

}  // namespace subgen
