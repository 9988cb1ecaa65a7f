// This is how tokens go from a step into windows and on into sketches.
#include "engine/cache/layer_cache.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "kernels/base/status_macros.h"

namespace subgen {
namespace {

// So many tokens leave the windows before they must go on. They are memory
// beside the budget, so these are few.
constexpr int64_t kLeavingTokens = 32;

// FNV-1a keeps the fingerprint short, whatever the number of heads is; LoadSlot
// refuses long ones.
uint64_t Digest(const std::vector<HeadLimits>& limits) {
  uint64_t digest = 0xcbf29ce484222325;
  const auto add = [&](int64_t number) {
    digest = (digest ^ static_cast<uint64_t>(number)) * 0x100000001b3;
  };
  for (const HeadLimits& step : limits) {
    add(step.after);
    for (const int64_t rows : step.rows) add(rows);
  }
  return digest;
}

std::string Fingerprint(const PolicyEntry& entry, const PolicySetup& setup) {
  const auto& [config, shape, plan] = setup;
  const WindowShape& window = plan.window;
  return absl::StrCat(
      entry.name, " ", entry.settings ? entry.settings(config) : "",
      RowFormatName(plan.layout.format), " x ", shape.head_dim, ", layer ",
      shape.layer, " KV heads ", shape.first_kv_head, "+", shape.kv_heads,
      ", token shard ", shape.token_shard, "/", shape.token_shards, " block ",
      shape.token_block,
      absl::StrCat(", sinks ", window.sink_tokens, " recent ",
                   window.recent_tokens, " exact ", window.exact_tokens,
                   " sketch ", plan.sketch_rows, " limits ",
                   absl::Hex(Digest(plan.limits), absl::kZeroPad16), " seed ",
                   config.seed, " ", config.when,
                   TransformsRows(config) ? " transformed" : ""));
}

SlotPlan PlanSlots(const PolicyEntry& entry, const PolicySetup& setup,
                   Backend& backend) {
  SlotPlan plan;
  plan.fingerprint = Fingerprint(entry, setup);
  plan.shape = setup.shape;
  plan.plan = setup.plan;
  plan.seed = setup.config.seed;
  // A window that holds every token has nothing to compress when the prompt
  // ends.
  plan.once = setup.config.when == "once" &&
              setup.plan.window.recent_tokens != WindowShape::kEveryToken;
  if (entry.make != nullptr && setup.plan.sketch_rows > 0) {
    plan.make_sketch = entry.make(setup);
  }
  // Scores are kept in the window already, as a token is chosen by all the
  // attention that it ever received.
  plan.plan.window.scored = plan.make_sketch && entry.needs == Needs::kScores;
  plan.backend = &backend;
  return plan;
}

StoredRow FloatRow(const LayerStep& step, int64_t row, const float* score) {
  const auto bytes = [](Vector<const float> numbers) {
    return reinterpret_cast<const std::byte*>(numbers.data());
  };
  return {{bytes(step.keys.row(row)), bytes(step.values.row(row))}, score};
}

}  // namespace

LayerCache::LayerCache(const PolicyEntry& entry, const PolicySetup& setup,
                       StepWork& work)
    : entry_(entry),
      plan_(PlanSlots(entry, setup, work.backend())),
      backend_(work.backend()),
      work_(work),
      slots_(setup.shape.slots),
      moves_(backend_) {
  if (!plan_.make_sketch) return;
  // Calls that wait for the end of the step refer to tokens in the batch. A
  // batch that is full before would have the work of all layers run early, so
  // it has room for a step.
  const int64_t tokens = entry.defers
                             ? std::max(kLeavingTokens, setup.shape.step_tokens)
                             : kLeavingTokens;
  leaving_.emplace(plan_.plan.layout, setup.shape.kv_heads, tokens,
                   plan_.plan.window.scored);
}

void LayerCache::CheckStepEnded() const {
  SUBGEN_CHECK(flushed_ == 0 && !waits_, "EndStep was not called");
}

Slot& LayerCache::SlotOf(const Chunk& chunk) {
  SUBGEN_CHECK(chunk.slot >= 0 && chunk.slot < plan_.shape.slots, chunk.slot);
  Slot& slot = slots_[chunk.slot];
  SUBGEN_CHECK(chunk.position == slot.next_position, "slot ", chunk.slot,
               " holds ", slot.next_position, " tokens, not ", chunk.position);
  return slot;
}

void LayerCache::Append(const LayerStep& step) {
  SUBGEN_CHECK(!plan_.plan.window.scored || has_step_scores_,
               "Append without Observe");
  CheckStepEnded();
  for (const Chunk& chunk : step.chunks) {
    AppendChunk(step, chunk, &SlotOf(chunk));
  }
  moves_.Run();
  // The moves have run by now for two reasons: the next layer overwrites the
  // rows of the step, and any layer may run the work of all.
  if (!work_.GainsByWaiting(step.tokens, std::ssize(step.chunks))) RunWork();
  has_step_scores_ = false;
}

void LayerCache::AppendChunk(const LayerStep& step, const Chunk& chunk,
                             Slot* slot) {
  if (!slot->window) *slot = NewSlot(plan_, plan_.once);
  moves_.NextSequence();
  const Vector<const int64_t> positions = step.Positions(chunk);
  for (int i = 0; i < chunk.owned_count; ++i) {
    // Evict comes first, as the window has no room for one token more.
    Evict(positions[i] + 1, slot);
    const auto row_of_head = [&](int head) {
      const int64_t row = head * step.owned + chunk.first_owned + i;
      return FloatRow(step, row,
                      has_step_scores_ ? &step_scores_[row] : nullptr);
    };
    slot->window->Push(positions[i], RowFormat::kF32, row_of_head, &moves_);
  }
  slot->next_position = chunk.position + chunk.count;
  // Tokens of other token shards make this shard's tokens older, too.
  Evict(slot->next_position, slot);
  Flush(slot);
  if (chunk.ends_prompt && slot->whole) Compress(slot);
}

void LayerCache::Evict(int64_t next_position, Slot* slot) {
  Window& window = *slot->window;
  while (window.HasLeaving(next_position)) {
    if (leaving_) {
      // New limits hold from this token on, wherever steps and batches end, so
      // that what is kept depends on neither.
      SetLimits(slot);
      if (leaving_->full()) {
        Flush(slot);
        RunWork();
      }
      AddFront(window, &*leaving_);
    }
    window.Pop();
  }
}

void LayerCache::AddFront(const Window& window, LeavingBatch* leaving) {
  leaving->Add(window.FrontPosition());
  for (int head = 0; head < plan_.shape.kv_heads; ++head) {
    leaving->AddRow(head, window.Front(head), &moves_);
  }
}

void LayerCache::SetLimits(Slot* slot) {
  const int64_t entered = slot->window->left();
  const HeadLimits& limits = plan_.plan.LimitsAt(entered + 1);
  // A sketch is made with the first limits; later ones are set once, by the
  // token that brings them.
  if (entered == 0 || limits.after != entered) return;
  Flush(slot);
  Sketch* const sketch = slot->sketch.get();
  const auto call = [sketch, &limits](RowOps& ops) {
    sketch->SetLimits(limits.rows, ops);
  };
  if (!entry_.defers) return work_.RunNow(call);
  work_.Add(sketch, call);
  waits_ = true;
}

void LayerCache::Flush(Slot* slot) {
  if (!leaving_ || leaving_->size() == flushed_) return;
  Sketch* const sketch = slot->sketch.get();
  const auto call = [sketch, heads = leaving_->Views(flushed_)](RowOps& ops) {
    sketch->Insert(heads, ops);
  };
  if (entry_.defers) {  // rows are on their way until the work is run
    work_.Add(sketch, call);
    flushed_ = leaving_->size();
    waits_ = true;
    return;
  }
  // The call runs at once, so the rows must be in the batch.
  moves_.Run();
  work_.RunNow(call);
  leaving_->Clear();
}

void LayerCache::RunWork() {
  if (!waits_) return;  // other layers' work can wait on
  moves_.Run();
  work_.Run();
  leaving_->Clear();
  flushed_ = 0;
  waits_ = false;
}

void LayerCache::EndStep() { RunWork(); }

void LayerCache::Compress(Slot* slot) {
  moves_.Run();
  const int heads = plan_.shape.kv_heads;
  // The prompt goes through a window as any stream does, so that sinks and
  // recent tokens are those of the stream and rows are quantized by the same
  // rule. The whole window is freed as soon as its rows are out.
  auto whole = std::make_optional(std::move(*slot->window));
  Window& window =
      slot->window.emplace(plan_.plan.window, plan_.plan.layout, heads);
  LeavingBatch leaving(plan_.plan.layout, slot->sketch ? heads : 0,
                       slot->sketch ? whole->every() : 0,
                       plan_.plan.window.scored);
  const auto evict = [&](int64_t next_position) {
    while (window.HasLeaving(next_position)) {
      if (slot->sketch) AddFront(window, &leaving);
      window.Pop();
    }
  };
  for (int64_t number = 0; number < whole->every(); ++number) {
    const int64_t position = whole->Position(number);
    evict(position + 1);
    window.Push(
        position, plan_.plan.layout.Exact().format,
        [&](int head) { return whole->Token(head, number); }, &moves_);
  }
  evict(slot->next_position);
  moves_.Run();
  whole.reset();
  slot->whole = false;
  if (leaving.size() == 0) return;
  const HeadLimits& limits = plan_.plan.LimitsAt(leaving.size());
  // The limits come in a call of their own before, as what is asked for in one
  // call is in no order.
  if (limits.after > 0) {
    work_.RunNow(
        [&](RowOps& ops) { slot->sketch->SetLimits(limits.rows, ops); });
  }
  work_.RunNow(
      [&](RowOps& ops) { slot->sketch->InsertPrompt(leaving.Views(0), ops); });
}

void LayerCache::Forget(int slot) {
  CheckStepEnded();
  slots_.at(slot) = Slot();
}

CacheStats LayerCache::Stats(int slot) const {
  CheckStepEnded();
  const Slot& state = slots_.at(slot);
  CacheStats stats;
  stats.tokens_seen = state.next_position;
  if (state.window) {
    stats.rows += state.window->rows();
    stats.bytes += state.window->bytes();
  }
  if (state.sketch != nullptr) {
    const SketchSize size = state.sketch->size();
    stats.rows += size.rows;
    stats.bytes += size.bytes;
  }
  return stats;
}

std::string LayerCache::Save(int slot) const {
  CheckStepEnded();
  return SaveSlot(plan_, slots_.at(slot));
}

absl::Status LayerCache::Load(int slot, absl::string_view saved) {
  Forget(slot);
  ASSIGN_OR_RETURN(slots_.at(slot), LoadSlot(plan_, saved));
  return absl::OkStatus();
}

}  // namespace subgen
