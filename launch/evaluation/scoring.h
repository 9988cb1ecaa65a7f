// Likelihoods of given tokens.
#pragma once

#include <vector>

#include "engine/decode/lockstep.h"

namespace subgen {

struct ScoredText {
  std::vector<int> tokens;
  int64_t prompt = 0;        // tokens of the prompt, >= 1
  int64_t first_scored = 1;  // >= 1, < tokens.size()
  int64_t chunk = 128;       // tokens in a step, of the engine's at most
};

// -log p(token | those before it) in nats, for each token from first_scored on.
// Reads the text into slot 0, all but its last token.
std::vector<double> Score(Leader& leader, const ScoredText& text);

}  // namespace subgen
