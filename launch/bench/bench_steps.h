// These are the steps of one repetition of a test.
#pragma once

#include <cstdint>

#include "engine/decode/lockstep.h"

namespace subgen {

// Each of `sequences` reads a prompt. Then tokens are generated, one step for a
// token of each.
struct BenchTest {
  int64_t prompt = 0;     // tokens of each sequence
  int64_t generated = 0;  // the same
  int sequences = 1;

  int64_t tokens() const { return prompt + generated; }
};

struct StepTimes {
  double seconds = 0.0;
  double longest_step = 0.0;  // seconds
};

// Random tokens of the vocabulary, others in each sequence, go through the
// leader. Each step is timed from its descriptor to the largest logits.
class BenchSteps {
 public:
  // A step has at most step_tokens tokens.
  BenchSteps(Leader& leader, int64_t vocabulary, int64_t step_tokens)
      : leader_(leader), vocabulary_(vocabulary), step_tokens_(step_tokens) {}

  // Reads tokens [first, end) of sequences [0, count), one sequence after
  // another; the step where one ends goes on with the next.
  StepTimes ReadPrompts(int count, int64_t first, int64_t end) const;
  // Generates tokens [first, end), one of each of these sequences per step;
  // count is at most step_tokens.
  StepTimes Generate(int count, int64_t first, int64_t end) const;

 private:
  BatchRun Run(int sequence, int64_t first, int64_t end) const;
  void Step(const Batch& batch, StepTimes* times) const;

  Leader& leader_;
  const int64_t vocabulary_, step_tokens_;
};

}  // namespace subgen
