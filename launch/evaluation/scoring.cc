#include "launch/evaluation/scoring.h"

#include <algorithm>

#include "engine/decode/sampler.h"

namespace subgen {

std::vector<double> Score(Leader& leader, const ScoredText& text) {
  const int64_t count = static_cast<int64_t>(text.tokens.size());
  SUBGEN_CHECK(text.prompt >= 1 && text.first_scored >= 1 &&
               text.first_scored < count && text.chunk >= 1);
  std::vector<double> scores;
  for (int64_t position = 0; position < count - 1;) {
    // A step ends where the prompt does.
    int64_t end = std::min(position + text.chunk, count - 1);
    if (position < text.prompt) end = std::min(end, text.prompt);
    BatchRun run;
    run.position = position;
    run.tokens.assign(text.tokens.begin() + position,
                      text.tokens.begin() + end);
    run.ends_prompt = end == text.prompt;
    run.all_logits = end > text.first_scored;
    const Matrix<const float> logits = leader.Forward({run});
    for (int64_t row = 0; row < logits.rows; ++row) {
      const int64_t next = end - logits.rows + row + 1;
      if (next < text.first_scored) continue;
      scores.push_back(
          NegativeLogLikelihood(logits.row(row), text.tokens[next]));
    }
    position = end;
  }
  return scores;
}

}  // namespace subgen
