// A slot is what a layer holds of one sequence: its window and its sketch.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "engine/cache/policy_entry.h"
#include "engine/cache/rows/window.h"

namespace subgen {

struct Slot {
  int64_t next_position = 0;
  bool whole = false;  // the window holds every token, the sketch none
  std::optional<Window> window;    // none before the first token
  std::unique_ptr<Sketch> sketch;  // null where nothing else is kept
};

// A plan is what every slot of a layer is made of.
struct SlotPlan {
  std::string fingerprint;  // what must agree for LoadSlot
  CacheShape shape;
  CachePlan plan;
  uint64_t seed = 0;
  bool once = false;        // the prompt is kept whole until it ends
  SketchMaker make_sketch;  // may be empty
  Backend* backend = nullptr;
};

// Makes a slot of no tokens. If `whole`, its window is to hold every token.
Slot NewSlot(const SlotPlan& plan, bool whole);

// A saved slot is a magic number, the fingerprint and the length of the
// sequence, then window and sketch.
std::string SaveSlot(const SlotPlan& plan, const Slot& slot);
absl::StatusOr<Slot> LoadSlot(const SlotPlan& plan, absl::string_view saved);

}  // namespace subgen
