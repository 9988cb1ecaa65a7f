// This chooses which rows a sketch keeps where each has a score.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/memory/view.h"

namespace subgen {

// Returns at most `keep` rows, those with the highest scores, ascending. Of
// equal scores the later row stays; one that is no number is lower than any.
std::vector<int64_t> BestRows(Vector<const double> scores, int64_t keep);

}  // namespace subgen
