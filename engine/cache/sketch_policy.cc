#include "engine/cache/sketch_policy.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "kernels/base/status_macros.h"

namespace subgen {

SketchPolicy::SketchPolicy(SketchPolicyOptions options, Backend& backend)
    : options_(std::move(options)),
      backend_(backend),
      slots_(options_.shape.slots),
      moves_(backend),
      own_queue_(backend),
      queue_(&own_queue_) {
  if (options_.plan.window.recent_tokens == WindowShape::kEveryToken) {
    options_.once = false;
  }
  if (options_.plan.sketch_rows == 0) {
    options_.make_sketch = nullptr;
    options_.plan.window.scored = false;
  }
  int64_t tokens = Sketch::kMostTokens;
  if (options_.leaves_tokens && options_.shape.sketch_queue != nullptr) {
    queue_ = options_.shape.sketch_queue;
    tokens = std::max(tokens, options_.shape.step_tokens);
  }
  for (int head = 0; options_.make_sketch && head < options_.shape.kv_heads;
       ++head) {
    leaving_.emplace_back(options_.plan.layout, tokens,
                          options_.plan.window.scored);
  }
}

SketchPolicy::Slot SketchPolicy::NewSlot(bool whole) const {
  const CacheShape& shape = options_.shape;
  WindowShape window = options_.plan.window;
  if (whole)
    window.recent_tokens = window.exact_tokens = WindowShape::kEveryToken;
  Slot slot;
  slot.whole = whole;
  for (int head = 0; head < shape.kv_heads; ++head) {
    const SketchPlace place = {
        options_.plan.layout, options_.plan.limits[0].rows[head], options_.seed,
        shape.layer,          shape.first_kv_head + head,         &backend_};
    slot.heads.push_back(
        {RecentWindow(window, options_.plan.layout),
         options_.make_sketch ? options_.make_sketch(place) : nullptr});
  }
  return slot;
}

SketchPolicy::Slot& SketchPolicy::SlotOf(const Chunk& chunk) {
  SUBGEN_CHECK(chunk.slot >= 0 && chunk.slot < options_.shape.slots,
               chunk.slot);
  Slot& slot = slots_[chunk.slot];
  SUBGEN_CHECK(chunk.position == slot.next_position, "slot ", chunk.slot,
               " holds ", slot.next_position, " tokens, not ", chunk.position);
  return slot;
}

void SketchPolicy::AddRowsOf(const Head& head,
                             std::vector<WeightedRows>* rows) {
  head.window.AddRows(rows);
  if (head.sketch != nullptr) head.sketch->AddRows(rows);
}

void SketchPolicy::AddReindexedRows(const Head& head,
                                    const SinkRotation& rotation,
                                    std::vector<float>* rotated,
                                    std::vector<WeightedRows>* rows) const {
  WeightedRows sinks = head.window.SinkRows();
  const int64_t count = sinks.keys.count, dim = sinks.keys.dim;
  for (const Rows& sink : {sinks.keys, sinks.values}) {
    const size_t bytes = count * RowBytes(sink.format, dim);
    ReadByHost(backend_, Vector<const std::byte>(sink.data, bytes));
  }
  rotated->resize(2 * count * dim);
  const Matrix<float> keys(rotated->data(), count, dim);
  const Matrix<float> values(rotated->data() + count * dim, count, dim);
  rotation.Rotate(sinks.keys, Numbers(keys));
  for (int64_t i = 0; i < count; ++i) {
    DecodeRow(sinks.values.format, sinks.values.row(i), values.row(i));
  }
  sinks.keys = FloatRows(keys);
  sinks.values = FloatRows(values);
  rows->push_back(sinks);
  head.window.AddRecentRows(rows);
}

int64_t SketchPolicy::Dropped(const Slot& slot) const {
  if (slot.whole) return 0;
  const WindowShape& window = options_.plan.window;
  return std::max<int64_t>(
      0, slot.next_position - window.sink_tokens - window.recent_tokens);
}

void SketchPolicy::Attend(const LayerStep& step, const SoftmaxPartials& out) {
  Settle();
  std::vector<AttentionTask> tasks;
  std::vector<WeightedRows> past;
  // Rotated sinks, until the backend has read them.
  std::vector<std::vector<float>> rotated(step.chunks.size() *
                                          options_.shape.kv_heads);
  auto next_rotated = rotated.begin();
  // The next chunk sees these rows in that format.
  const bool may_round = options_.plan.layout.Exact().format != RowFormat::kF32;
  for (const Chunk& chunk : step.chunks) {
    const Slot& slot = SlotOf(chunk);
    const bool reindex = options_.reindex_sinks && Dropped(slot) > 0;
    std::optional<SinkRotation> rotation;
    if (reindex) {
      rotation.emplace(options_.shape.rotary, Dropped(slot),
                       options_.transform);
    }
    for (int head = 0; head < options_.shape.kv_heads; ++head) {
      AttentionTask inside = step.TaskInside(chunk, head, out);
      inside.may_round = may_round;
      past.clear();
      if (reindex) {
        AddReindexedRows(slot.heads[head], *rotation, &*next_rotated++, &past);
      } else if (!slot.heads.empty()) {
        AddRowsOf(slot.heads[head], &past);
      }
      for (const WeightedRows& rows : past) {
        if (rows.keys.count == 0) continue;
        tasks.push_back({inside.queries, rows, {}, step.group, inside.out});
      }
      tasks.push_back(inside);
    }
  }
  backend_.AttendFromEmpty(tasks);
  AttendPacked(step, out);
}

void SketchPolicy::AttendPacked(const LayerStep& step,
                                const SoftmaxPartials& out) const {
  if (!options_.make_sketch) return;
  for (const Chunk& chunk : step.chunks) {
    const Slot& slot = slots_[chunk.slot];
    if (slot.heads.empty()) continue;
    const int64_t rows = slot.heads[0].sketch->packed_rows();
    for (int64_t first = 0; first < rows; first += Sketch::kMostUnpacked) {
      AttendPiece(step, chunk, first, out);
    }
  }
}

void SketchPolicy::AttendPiece(const LayerStep& step, const Chunk& chunk,
                               int64_t first,
                               const SoftmaxPartials& out) const {
  const std::vector<Head>& heads = slots_[chunk.slot].heads;
  const int64_t dim = options_.shape.head_dim;
  const int64_t rows =
      std::min(Sketch::kMostUnpacked, heads[0].sketch->packed_rows() - first);
  std::vector<float> unpacked(2 * heads.size() * rows * dim);
  std::vector<AttentionTask> tasks;
  for (size_t head = 0; head < heads.size(); ++head) {
    const Matrix<float> keys(&unpacked[2 * head * rows * dim], rows, dim);
    const Matrix<float> values(keys.data + rows * dim, rows, dim);
    heads[head].sketch->Unpack(first, keys, values);
    AttentionTask task;
    task.queries = step.Queries(chunk, head);
    task.rows.keys = FloatRows(keys);
    task.rows.values = FloatRows(values);
    task.group = step.group;
    task.out = step.Partials(out, chunk, head);
    tasks.push_back(task);
  }
  backend_.Attend(tasks);
}

void SketchPolicy::ShowQueries(const LayerStep& step,
                               Vector<const float> log_partition) {
  if (!options_.make_sketch) return;
  for (const Chunk& chunk : step.chunks) {
    Slot& slot = SlotOf(chunk);
    if (slot.heads.empty()) slot = NewSlot(options_.once);
    for (size_t head = 0; head < slot.heads.size(); ++head) {
      slot.heads[head].sketch->Observe(
          step.Queries(chunk, head), step.PerQuery(log_partition, chunk, head));
    }
  }
}

void SketchPolicy::Observe(const LayerStep& step,
                           Vector<const float> log_partition) {
  ShowQueries(step, log_partition);
  if (!options_.plan.window.scored) return;
  const int64_t scores = options_.shape.kv_heads * step.owned;
  if (step_scores_.size() < scores) {
    step_scores_ = Buffer<float>(scores, backend_.mirror());
  }
  backend_.Clear(step_scores_.matrix(1, scores));
  has_step_scores_ = true;
  std::vector<AttentionMassTask> tasks;
  for (const Chunk& chunk : step.chunks) {
    Slot& slot = SlotOf(chunk);
    for (int head = 0; head < options_.shape.kv_heads; ++head) {
      AttentionMassTask task;
      task.queries = step.Queries(chunk, head);
      task.group = step.group;
      task.log_partition = step.PerQuery(log_partition, chunk, head);
      if (!slot.heads.empty()) AddPastMass(task, &slot.heads[head], &tasks);
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

void SketchPolicy::AddPastMass(AttentionMassTask task, Head* head,
                               std::vector<AttentionMassTask>* tasks) const {
  std::vector<Vector<float>> scores = head->window.Scores();
  scores.push_back(head->sketch->Scores());
  std::vector<WeightedRows> rows;
  AddRowsOf(*head, &rows);
  for (size_t i = 0; i < rows.size(); ++i) {
    task.keys = rows[i].keys;
    task.mass = scores[i];
    if (task.keys.count > 0) tasks->push_back(task);
  }
}

void SketchPolicy::Append(const LayerStep& step) {
  SUBGEN_CHECK(!options_.plan.window.scored || has_step_scores_,
               "Append without Observe");
  Settle();
  for (const Chunk& chunk : step.chunks) {
    AppendChunk(step, chunk, &SlotOf(chunk));
  }
  moves_.Run();
  // Where each sequence has few tokens most work is to read its rows, which
  // attention has just left in the caches of a CPU.
  constexpr int64_t kFewTokens = 8;
  const bool few = step.tokens <= kFewTokens * std::ssize(step.chunks) &&
                   backend_.mirror() == nullptr;
  if (few || queue_ == &own_queue_) Settle();
  has_step_scores_ = false;
}

void SketchPolicy::AppendChunk(const LayerStep& step, const Chunk& chunk,
                               Slot* slot) {
  if (slot->heads.empty()) *slot = NewSlot(options_.once);
  moves_.NextSequence();
  const auto bytes = [](Vector<const float> row) {
    return reinterpret_cast<const std::byte*>(row.data());
  };
  const Vector<const int64_t> positions = step.Positions(chunk);
  for (int i = 0; i < chunk.owned_count; ++i) {
    Evict(positions[i] + 1, slot);
    for (size_t head = 0; head < slot->heads.size(); ++head) {
      const int64_t row = head * step.owned + chunk.first_owned + i;
      const WindowToken token = {
          positions[i],
          {bytes(step.keys.row(row)), bytes(step.values.row(row))},
          has_step_scores_ ? &step_scores_[row] : nullptr};
      slot->heads[head].window.Push(token, RowFormat::kF32, &moves_);
    }
  }
  slot->next_position = chunk.position + chunk.count;
  Evict(slot->next_position, slot);
  Flush(slot);
  if (chunk.ends_prompt && slot->whole) Compress(slot);
}

void SketchPolicy::Compress(Slot* slot) {
  const CachePlan& plan = options_.plan;
  moves_.Run();
  for (Head& head : slot->heads) {
    const RecentWindow whole = std::move(head.window);
    const std::vector<WindowToken> tokens = whole.Tokens();
    head.window = RecentWindow(plan.window, plan.layout);
    LeavingBatch leaving(plan.layout, head.sketch ? tokens.size() : 0,
                         plan.window.scored);
    const auto evict = [&](int64_t next_position) {
      while (head.window.HasLeaving(next_position)) {
        if (head.sketch) leaving.Add(head.window.Front(), &moves_);
        head.window.Pop();
      }
    };
    for (const WindowToken& token : tokens) {
      evict(token.position + 1);
      head.window.Push(token, plan.layout.Exact().format, &moves_);
    }
    evict(slot->next_position);
    moves_.Run();  // while what they read is there
    if (leaving.size() == 0) continue;
    const int64_t at = &head - slot->heads.data();
    const HeadLimits& limits = plan.LimitsAt(leaving.size());
    if (limits.after > 0) head.sketch->SetLimit(limits.rows[at]);
    head.sketch->InsertPrompt(leaving.HostView(false), backend_);
  }
  slot->whole = false;
}

void SketchPolicy::Evict(int64_t next_position, Slot* slot) {
  std::vector<Head>& heads = slot->heads;
  while (!heads.empty() && heads[0].window.HasLeaving(next_position)) {
    SetLimits(slot);
    if (!leaving_.empty() && leaving_[0].full()) {
      Flush(slot);
      Settle();
    }
    for (size_t i = 0; i < heads.size(); ++i) {
      if (heads[i].sketch != nullptr) {
        leaving_[i].Add(heads[i].window.Front(), &moves_);
      }
      heads[i].window.Pop();
    }
  }
}

void SketchPolicy::SetLimits(Slot* slot) {
  const int64_t entered = slot->heads[0].window.left();
  const HeadLimits& limits = options_.plan.LimitsAt(entered + 1);
  if (entered == 0 || limits.after != entered) return;
  Flush(slot);
  if (options_.leaves_tokens) ++round_;
  for (size_t i = 0; i < slot->heads.size(); ++i) {
    Sketch* const sketch = slot->heads[i].sketch.get();
    if (options_.leaves_tokens) {
      queue_->AddLimit(round_, sketch, limits.rows[i]);
    } else {
      sketch->SetLimit(limits.rows[i]);
    }
  }
}

void SketchPolicy::Flush(Slot* slot) {
  if (leaving_.empty() || leaving_[0].size() == flushed_) return;
  if (options_.leaves_tokens) {  // rows are on their way until Settle
    for (size_t i = 0; i < slot->heads.size(); ++i) {
      queue_->AddTokens(round_, slot->heads[i].sketch.get(),
                        leaving_[i].View(flushed_));
    }
    flushed_ = leaving_[0].size();
    return;
  }
  moves_.Run();
  const int64_t tokens = leaving_[0].size();
  std::vector<LeavingTokens> views;
  std::vector<std::vector<float>> squared(slot->heads.size());
  std::vector<Matrix<float>> matrices;
  std::vector<DistanceTask> tasks;
  for (size_t i = 0; i < slot->heads.size(); ++i) {
    const Sketch& sketch = *slot->heads[i].sketch;
    const int64_t columns = sketch.DistanceColumns();
    squared[i].resize(tokens * columns);
    matrices.emplace_back(squared[i].data(), tokens, columns);
    views.push_back(sketch.ReadsTokens() ? leaving_[i].HostView(columns > 0)
                                         : leaving_[i].View());
    if (columns > 0) sketch.AddDistances(views[i], matrices[i], &tasks);
  }
  if (!tasks.empty()) backend_.Distances(tasks);
  std::vector<RowCopy> copies;
  for (size_t i = 0; i < slot->heads.size(); ++i) {
    Sketch& sketch = *slot->heads[i].sketch;
    sketch.Insert(views[i], matrices[i]);
    sketch.AddRowCopies(views[i], &copies);
  }
  if (!copies.empty()) backend_.ConvertRows(copies);
  for (LeavingBatch& batch : leaving_) batch.Clear();
}

void SketchPolicy::Settle() {
  if (flushed_ == 0 && round_ == 0) return;  // other layers' work can wait
  moves_.Run();
  queue_->Run();
  for (LeavingBatch& batch : leaving_) batch.Clear();
  flushed_ = 0;
  round_ = 0;
}

void SketchPolicy::Forget(int slot) {
  Settle();
  slots_.at(slot) = Slot();
}

CacheStats SketchPolicy::Stats(int slot) const {
  queue_->Run();
  const Slot& state = slots_.at(slot);
  CacheStats stats;
  stats.tokens_seen = state.next_position;
  for (const Head& head : state.heads) {
    stats.rows += head.window.rows();
    stats.bytes += head.window.bytes();
    if (head.sketch == nullptr) continue;
    stats.rows += head.sketch->rows();
    stats.bytes += head.sketch->bytes();
  }
  return stats;
}

}  // namespace subgen
