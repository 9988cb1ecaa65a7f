// The memory for what left the windows is shared over the KV heads of a model
// (cache.head_budgets: spread). A head whose keys hardly differ can tell few
// tokens apart, so it loses little with its rows; one whose keys point
// everywhere and are long picks single tokens, and needs them. Shares are
// measured once, when the engine is made, by what the model does with random
// tokens: they are the same for every prompt, rank and size of chunks.
#pragma once

#include <vector>

#include "engine/cache/cache_shape.h"

namespace subgen {

// Returns the share of each head, their mean at most 1, none over `most` (>=
// 1): a tenth, and of the rest in proportion to spread^5. All are 1 where a
// spread is no number or none is positive.
std::vector<double> SharesBySpreads(const std::vector<double>& spreads,
                                    double most);

// Returns the shares while a sequence grows to `most` times the mean of the
// limits: no head may hold more than there is, and what it cannot use is for
// the others.
std::vector<HeadShares> SharesOverTime(const std::vector<double>& spreads,
                                       double most);

}  // namespace subgen
