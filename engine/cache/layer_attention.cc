// This is how a layer's cache is attended to, and how it learns from attention.
#include <algorithm>

#include "engine/cache/layer_cache.h"
#include "kernels/base/status_macros.h"

namespace subgen {

int64_t LayerCache::Dropped(int number) const {
  const Slot& slot = slots_.at(number);
  if (!entry_.reindexes_sinks || slot.whole) return 0;
  const WindowShape& window = plan_.plan.window;
  return std::max<int64_t>(
      0, slot.next_position - window.sink_tokens - window.recent_tokens);
}

void LayerCache::Attend(const LayerStep& step, const SoftmaxPartials& out) {
  CheckStepEnded();
  std::vector<AttentionTask> tasks;
  std::vector<WeightedRows> past;
  // Rows inside the chunk may be rounded where the window stores them in 16
  // bits: the next chunk sees them in that format anyway.
  const bool may_round = plan_.plan.layout.Exact().format != RowFormat::kF32;
  for (const Chunk& chunk : step.chunks) {
    const Slot& slot = SlotOf(chunk);
    for (int head = 0; head < plan_.shape.kv_heads; ++head) {
      AttentionTask inside = step.TaskInside(chunk, head, out);
      inside.may_round = may_round;
      past.clear();
      // Logits depend on differences of positions alone, so to rotate the
      // queries back does for the sinks what to rotate their stored keys would.
      if (Dropped(chunk.slot) > 0) {
        past.push_back(slot.window->SinkRows(head));
        AddTasks(step.SinkQueries(chunk, head), past, inside, &tasks);
        past.clear();
        slot.window->AddRecentRows(head, &past);
      } else if (slot.window) {
        slot.window->AddRows(head, &past);
      }
      if (slot.sketch != nullptr) slot.sketch->AddRows(head, &past);
      AddTasks(inside.queries, past, inside, &tasks);
      tasks.push_back(inside);
    }
  }
  // All heads of all sequences are one list, so that a backend does them in one
  // operation.
  backend_.AttendFromEmpty(tasks);
  for (const Chunk& chunk : step.chunks) {
    const Slot& slot = slots_[chunk.slot];
    if (slot.sketch != nullptr) slot.sketch->AttendMore(step, chunk, out);
  }
}

void LayerCache::AddTasks(Matrix<const float> queries,
                          const std::vector<WeightedRows>& past,
                          const AttentionTask& inside,
                          std::vector<AttentionTask>* tasks) {
  for (const WeightedRows& rows : past) {
    if (rows.keys.count == 0) continue;
    tasks->push_back({queries, rows, {}, inside.group, inside.out});
  }
}

void LayerCache::Observe(const LayerStep& step,
                         Vector<const float> log_partition) {
  if (entry_.needs == Needs::kQueries) {
    for (const Chunk& chunk : step.chunks) {
      Slot& slot = SlotOf(chunk);
      // The first chunk of a sequence is observed before Append makes its slot.
      if (!slot.window) slot = NewSlot(plan_, plan_.once);
      if (slot.sketch != nullptr) {
        slot.sketch->Observe(step, chunk, log_partition);
      }
    }
  }
  if (plan_.plan.window.scored) AddUpScores(step, log_partition);
}

void LayerCache::AddUpScores(const LayerStep& step,
                             Vector<const float> log_partition) {
  const int64_t scores = plan_.shape.kv_heads * step.owned;
  if (step_scores_.size() < scores) {
    step_scores_ = Buffer<float>(scores, backend_.mirror());
  }
  // The step's own tokens are in no window yet. What they receive in this step
  // waits here until Append takes it in with their rows.
  backend_.Clear(step_scores_.matrix(1, scores));
  has_step_scores_ = true;
  std::vector<AttentionMassTask> tasks;
  for (const Chunk& chunk : step.chunks) {
    Slot& slot = SlotOf(chunk);
    for (int head = 0; head < plan_.shape.kv_heads; ++head) {
      AttentionMassTask task;
      task.queries = step.Queries(chunk, head);
      task.group = step.group;
      task.log_partition = step.PerQuery(log_partition, chunk, head);
      if (slot.window) AddPastMass(task, &slot, head, &tasks);
      if (chunk.owned_count == 0) continue;
      task.keys = FloatRows(step.Keys(chunk, head));
      task.row_token = step.Tokens(chunk);
      task.mass = step_scores_.span().subspan(
          head * step.owned + chunk.first_owned, chunk.owned_count);
      tasks.push_back(task);
    }
  }
  backend_.AccumulateMass(tasks);
}

void LayerCache::AddPastMass(AttentionMassTask task, Slot* slot, int head,
                             std::vector<AttentionMassTask>* tasks) const {
  std::vector<Vector<float>> scores = slot->window->Scores(head);
  // Scores come in the order of AddRows: of the window, then of the sketch.
  scores.push_back(slot->sketch->Scores(head));
  std::vector<WeightedRows> rows;
  slot->window->AddRows(head, &rows);
  slot->sketch->AddRows(head, &rows);
  for (size_t i = 0; i < rows.size(); ++i) {
    task.keys = rows[i].keys;
    task.mass = scores[i];
    if (task.keys.count > 0) tasks->push_back(task);
  }
}

}  // namespace subgen
