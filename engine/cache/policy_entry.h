// An entry is what the engine must know of a cache policy: one row of the table
// in policy_table.h, at the end of the policy's own file. Everything that
// depends on a policy asks its row; nothing compares names.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "engine/cache/budget.h"
#include "engine/cache/needs.h"
#include "engine/cache/sketch.h"

namespace subgen {

// A setup is the settings, the place and the plan of one layer's cache.
struct PolicySetup {
  CacheConfig config;
  CacheShape shape;
  CachePlan plan;
};

using SketchMaker =
    std::function<std::unique_ptr<Sketch>(const SketchPlace& place)>;

// Costs are bytes per KV head: of a row in the window and of one outside it,
// with all that the policy keeps of each at most, and of what it keeps besides.
struct PolicyCosts {
  int64_t window_row = 0;
  int64_t sketch_row = 0;
  int64_t fixed = 0;
};

// This is how the budget is shared over KV heads (cache.head_budgets).
enum class HeadBudgets {
  kEqual,            // heads are alike
  kEqualByDefault,   // they may differ: the sketch has SetLimits
  kSpreadByDefault,  // the same, and `auto` means spread
};

struct PolicyEntry {
  absl::string_view name = {};    // cache.policy
  absl::string_view source = {};  // the paper
  absl::string_view help = {};

  Needs needs = Needs::kNothing;
  // Says whether the policy keeps to a budget; otherwise every token is kept.
  bool bounded = true;
  // Says whether what sketches ask for may wait for the end of the step
  // (step_work.h).
  bool defers = false;
  // Says whether sinks stand right before the recent tokens, whatever was
  // dropped.
  bool reindexes_sinks = false;
  // Says whether its sketches quantize rows themselves: then rows leave the
  // window exact, and a number of a row stays that of its channel
  // (cache.rotate: auto is no).
  bool quantizes = false;

  // Is null where nothing is chosen: heads are equal for every setting.
  HeadBudgets (*head_budgets)(const CacheConfig&) = nullptr;
  // Null stands for cache.recent_tokens, and cache.recent_fraction of the
  // budget.
  int64_t (*recent_tokens)(const CacheConfig&) = nullptr;
  // Null stands for rows alone, in their formats.
  PolicyCosts (*costs)(const CacheConfig&, const CacheShape&,
                       RowLayout) = nullptr;
  // Checks what settings and model must agree on beyond the ranges in the table
  // of settings. Null checks nothing.
  absl::Status (*check)(const PolicySetup&) = nullptr;
  // Names the settings that a saved slot depends on. Null adds none to the
  // shared ones.
  std::string (*settings)(const CacheConfig&) = nullptr;
  // Null keeps nothing of what leaves the window.
  SketchMaker (*make)(const PolicySetup&) = nullptr;
};

}  // namespace subgen
