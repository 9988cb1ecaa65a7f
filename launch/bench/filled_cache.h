// The cache policies of a benchmark start every repetition from a context of a
// given depth, and book the time that they take.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "engine/cache/cache_policy.h"
#include "launch/bench/step_clock.h"

namespace subgen {

class FilledPolicy;

// These are the caches of one rank and one engine with one slot.
class FilledCache {
 public:
  // The first time that the sequence is `depth` tokens long, its caches are
  // saved (in memory that is not the process's own, so that resident memory
  // stays the engine's). From then on Forget goes back there. The clock
  // outlives the cache; a lap begins with the first step after a Forget.
  FilledCache(int64_t depth, StepClock& clock) : depth_(depth), clock_(clock) {}

  // Makes the policies of the engine, which this object outlives.
  PolicyFactory Factory();
  // Brings every layer to `depth` without the model (synthetic_rows.h). Says
  // before the first layer and after each how many are there.
  void FillSynthetically(
      int64_t chunk, uint64_t seed,
      const std::function<void(int64_t done, int64_t total)>& on_layer);

 private:
  friend class FilledPolicy;
  const int64_t depth_;
  StepClock& clock_;
  std::vector<FilledPolicy*> policies_;  // by layer
};

}  // namespace subgen
