// A batch is what the model is asked for in a step.
#pragma once

#include <cstdint>
#include <vector>

namespace subgen {

// A run is the tokens of one sequence in a step, consecutive in position.
struct BatchRun {
  int slot = 0;
  int64_t position = 0;     // of the first token
  std::vector<int> tokens;  // >= 1
  bool ends_prompt = false;
  bool all_logits = false;  // of every token, else of the last one
};
using Batch = std::vector<BatchRun>;

// This is what is to be known of each row of logits of a step, where not all of
// it is (Backend::Top).
struct TopRequest {
  int64_t most = 1;
  std::vector<float> scales;  // [rows]
};

}  // namespace subgen
