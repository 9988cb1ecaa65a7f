// The report says what a generation cost, for people and for programs.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/decode/engine.h"

namespace subgen {

struct GenerationReport {
  std::vector<int> prompt_tokens;
  GenerationResult result;
  RankTotals totals;
  int ranks = 1;
  GridShape grid;
  CacheConfig cache;  // in force
  std::string backend;
  std::string note;  // a line on how the backend ran, or empty
};

// Returns a line on the policy in force and what it keeps, and one on a budget
// that has no effect.
std::string DescribeCache(const Engine& engine);

// Returns a few lines for standard error: speed, share of communication, cache
// held.
std::string Summary(const GenerationReport& report);

// Returns the same as a JSON object, with tokens, text and top_logits.
std::string ToJson(const GenerationReport& report);

}  // namespace subgen
