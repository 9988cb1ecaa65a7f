#include "engine/cache/sketch_queue.h"

#include <utility>

namespace subgen {

SketchQueue::Round& SketchQueue::At(size_t round) {
  if (rounds_.size() <= round) rounds_.resize(round + 1);
  return rounds_[round];
}

void SketchQueue::AddLimit(size_t round, Sketch* sketch, int64_t rows) {
  At(round).limits.push_back({sketch, rows});
}

void SketchQueue::AddTokens(size_t round, Sketch* sketch,
                            const LeavingTokens& tokens) {
  At(round).tokens.push_back({sketch, tokens});
}

void SketchQueue::Run() {
  for (const Round& round : std::exchange(rounds_, {})) {
    std::vector<CenterTask> tasks;
    for (const Limit& limit : round.limits) {
      limit.sketch->AddShrinkTasks(limit.rows, &tasks);
    }
    Insert(tasks);
    for (const Limit& limit : round.limits) {
      limit.sketch->SetLimit(limit.rows);
    }
    SketchTasks joining;
    for (const Tokens& work : round.tokens) {
      work.sketch->AddTasks(work.tokens, &joining);
    }
    Insert(joining.centers);
    if (!joining.clusters.empty()) backend_.InsertClusters(joining.clusters);
    if (!joining.scored.empty()) backend_.KeepBest(joining.scored);
  }
}

void SketchQueue::Insert(const std::vector<CenterTask>& tasks) {
  // A backend may hold the distances of so many pairs at once.
  constexpr int64_t kMostPairs = 1 << 22;
  const Vector<const CenterTask> all = tasks;
  size_t first = 0;
  int64_t pairs = 0;
  for (size_t i = 0; i < all.size(); ++i) {
    pairs += all[i].tokens() * all[i].centers.limit;
    if (pairs < kMostPairs && i + 1 < all.size()) continue;
    backend_.InsertCenters(all.subspan(first, i + 1 - first));
    first = i + 1;
    pairs = 0;
  }
}

}  // namespace subgen
