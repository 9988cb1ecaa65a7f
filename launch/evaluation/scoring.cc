#include "launch/evaluation/scoring.h"

#include <algorithm>

#include "engine/decode/sampler.h"

namespace subgen {
namespace {

// Reads tokens [position, end) into a slot, a chunk at a time; adds the scores
// of those that follow them.
void Read(Leader& leader, const ScoredText& text, int slot,
          std::pair<int64_t, int64_t> range, std::vector<double>* scores) {
  for (int64_t position = range.first; position < range.second;) {
    const int64_t end = std::min(position + text.chunk, range.second);
    BatchRun run;
    run.slot = slot;
    run.position = position;
    run.tokens.assign(text.tokens.begin() + position,
                      text.tokens.begin() + end);
    run.ends_prompt = end == text.prompt;
    run.all_logits = end > text.first_scored;
    const Matrix<const float> logits = leader.Forward({run});
    for (int64_t row = 0; row < logits.rows; ++row) {
      const int64_t next = end - logits.rows + row + 1;
      if (next < text.first_scored) continue;
      scores->push_back(
          NegativeLogLikelihood(logits.row(row), text.tokens[next]));
    }
    position = end;
  }
}

}  // namespace

std::vector<std::vector<double>> Score(Leader& leader, const ScoredText& text,
                                       int slots) {
  const int64_t count = static_cast<int64_t>(text.tokens.size());
  SUBGEN_CHECK(text.prompt >= 1 && text.first_scored >= 1 &&
               text.first_scored < count && text.chunk >= 1 && slots >= 1);
  const int64_t prompt = std::min(text.prompt, count - 1);
  std::vector<double> shared;
  Read(leader, text, 0, {0, prompt}, &shared);
  std::vector<std::vector<double>> scores(slots, shared);
  for (int slot = 0; slot < slots; ++slot) {
    Read(leader, text, slot, {prompt, count - 1}, &scores[slot]);
  }
  return scores;
}

std::vector<double> Score(Leader& leader, const ScoredText& text) {
  return Score(leader, text, 1)[0];
}

std::vector<std::string> Answer(Leader& leader, const Tokenizer& tokenizer,
                                const Question& question, int slots) {
  const int64_t count = static_cast<int64_t>(question.prompt.size());
  SUBGEN_CHECK(count >= 1 && question.chunk >= 1 && slots >= 1);
  int best = 0;
  for (int64_t position = 0; position < count;) {
    const int64_t end = std::min(position + question.chunk, count);
    BatchRun run;
    run.position = position;
    run.tokens.assign(question.prompt.begin() + position,
                      question.prompt.begin() + end);
    run.ends_prompt = end == count;
    best = leader.ForwardTop({run}, {1, {0.0f}})[0].best[0].column;
    position = end;
  }
  std::vector<std::string> answers(slots);
  std::vector<int> next(slots, best);
  for (int64_t i = 0;; ++i) {
    Batch batch;
    for (int slot = 0; slot < slots; ++slot) {
      if (next[slot] < 0 || tokenizer.EndsGeneration(next[slot])) {
        next[slot] = -1;  // this answer has ended
        continue;
      }
      answers[slot] += tokenizer.Decode(next[slot], false);
      batch.push_back({slot, count + i, {next[slot]}, false, false});
    }
    if (batch.empty() || i + 1 == question.max_tokens) return answers;
    for (size_t first = 0; first < batch.size(); first += question.chunk) {
      const size_t end = std::min<size_t>(first + question.chunk, batch.size());
      const Batch part(batch.begin() + first, batch.begin() + end);
      const std::vector<RowTop> tops =
          leader.ForwardTop(part, {1, std::vector<float>(part.size())});
      for (size_t run = 0; run < part.size(); ++run) {
        next[part[run].slot] = tops[run].best[0].column;
      }
    }
  }
}

}  // namespace subgen
