// A plan says what an evaluation measures: its YAML file is in
// configs/evaluation/. The engine itself has its own settings (engine/config/).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace subgen {

// A policy is a row of every table, with settings such as "cache.policy=window"
// on top of the engine's.
struct PolicyChoice {
  std::string name;
  std::vector<std::string> settings;
};

struct CopyPlan {  // A, unrelated B, A again; the second A is scored
  int64_t pairs = 8;
  int64_t tokens_a = 512;
  int64_t tokens_b = 1024;
};

// The tokens of a text from `prefix` on are scored, in `buckets` of positions.
struct PerplexityPlan {
  int64_t texts = 8;
  int64_t prefix = 1024;  // the prompt, tokens
  int64_t tokens = 2048;  // with the prefix
  int64_t buckets = 4;
};

struct PasskeyPlan {
  std::vector<int64_t> lengths = {1024, 2048};  // tokens of a prompt
  std::vector<double> depths = {0.1, 0.5, 0.9};
  int64_t questions = 10;  // of each length and depth
};

struct LinesPlan {
  std::vector<int64_t> lines = {50};
  int64_t questions = 20;  // of each number of lines
  int64_t max_tokens = 64;
};

struct AttentionPlan {  // as PerplexityPlan
  int64_t texts = 4;
  int64_t prefix = 1024;
  int64_t tokens = 1152;
  bool per_head = false;  // a row for each layer and query head too
};

struct EvaluationPlan {
  std::vector<std::string> tasks = {"copy"};
  std::vector<std::string> modes = {"once", "stream"};
  std::vector<double> budgets = {0.125, 0.25, 0.5};
  // A budget is a fraction of the rows of an exact cache of the prompt, or of
  // its bytes in 16 bits.
  std::string budget_of = "rows";
  int64_t chunk = 128;  // tokens in a step: what a stream compresses after
  std::vector<int64_t> seeds = {1};
  std::vector<std::string> texts;  // files; empty: what Debian has
  std::vector<PolicyChoice> policies;
  CopyPlan copy;
  PerplexityPlan perplexity;
  PasskeyPlan passkey;
  LinesPlan lines;
  AttentionPlan attention;
};

// Errors name the file, the key, the value and what is legal. Settings of
// policies are checked when they are applied.
absl::StatusOr<EvaluationPlan> LoadPlan(const std::string& path);
// Reads the same from a text; `place` begins the errors.
absl::StatusOr<EvaluationPlan> ParsePlan(const std::string& yaml,
                                         const std::string& place);

}  // namespace subgen
