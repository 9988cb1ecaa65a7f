#include "engine/model/step_layout.h"

namespace subgen {

void StepLayout::Arrange(const Batch& batch, const RankGrid& grid,
                         const CachePolicy& cache) {
  chunks.clear();
  tokens.clear();
  positions.clear();
  sink_positions.clear();
  owned_rows.clear();
  owned_positions.clear();
  owned_tokens.clear();
  logit_rows.clear();
  bool drops = false;
  for (const BatchRun& run : batch) {
    const int64_t dropped = cache.Dropped(run.slot);
    drops |= dropped > 0;
    const int count = static_cast<int>(run.tokens.size());
    const int first = static_cast<int>(tokens.size());
    const int first_owned = static_cast<int>(owned_rows.size());
    for (int i = 0; i < count; ++i) {
      const int64_t position = run.position + i;
      tokens.push_back(run.tokens[i]);
      positions.push_back(position);
      sink_positions.push_back(position - dropped);
      // Only the last token of a run can be followed by a new one.
      if (run.all_logits || i + 1 == count) logit_rows.push_back(first + i);
      // Ownership follows from the position, so all ranks agree on it without a
      // word.
      if (!grid.Owns(position)) continue;
      owned_rows.push_back(first + i);
      owned_positions.push_back(position);
      // Inside its chunk a row is seen by its own token and later ones, so it
      // carries the token's number there.
      owned_tokens.push_back(i);
    }
    const int owned = static_cast<int>(owned_rows.size()) - first_owned;
    chunks.push_back({run.slot, run.position, first, count, first_owned, owned,
                      run.ends_prompt});
  }
  // Where nothing was dropped, sinks are attended to as other rows are.
  if (!drops) sink_positions.clear();
}

LayerStep StepLayout::Step(int group) const {
  LayerStep step;
  step.chunks = chunks;
  step.tokens = token_count();
  step.owned = owned_count();
  step.group = group;
  step.owned_positions = owned_positions;
  step.owned_tokens = owned_tokens;
  return step;
}

}  // namespace subgen
