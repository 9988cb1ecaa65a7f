// These functions compute likelihoods of given tokens, and greedy answers.
#pragma once

#include <string>
#include <vector>

#include "engine/decode/lockstep.h"
#include "engine/text/tokenizer.h"

namespace subgen {

struct Question {
  std::vector<int> prompt;  // >= 1
  int64_t max_tokens = 1;
  int64_t chunk = 128;
};

struct ScoredText {
  std::vector<int> tokens;
  int64_t prompt = 0;        // tokens of the prompt, >= 1
  int64_t first_scored = 1;  // >= 1, < tokens.size()
  int64_t chunk = 128;       // tokens in a step, of the engine's at most
};

// Returns -log p(token | those before it) in nats, for each token from
// first_scored on, in each of `slots`. Reads the prompt into slot 0; all slots
// go on from there (shared_prompt.h), up to the last token but one.
std::vector<std::vector<double>> Score(Leader& leader, const ScoredText& text,
                                       int slots);

// Returns the same for slot 0 alone.
std::vector<double> Score(Leader& leader, const ScoredText& text);

// Returns greedy answers to a prompt, one in each of `slots`, which begin to
// differ where the prompt ends. Control tokens are left out.
std::vector<std::string> Answer(Leader& leader, const Tokenizer& tokenizer,
                                const Question& question, int slots);

}  // namespace subgen
