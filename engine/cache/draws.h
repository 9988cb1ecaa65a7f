// The random choices that belong to one token of one head of one layer: the
// same whatever the ranks, the chunks and the tokens before it.
#pragma once

#include <cmath>

#include "engine/cache/sketch.h"
#include "kernels/base/random.h"

namespace subgen {

class Draws {
 public:
  Draws(const SketchPlace& place, int64_t position)
      : random_(place.seed, place.layer, place.head, position) {}

  // Uniform in [0, 1), 53 bits.
  double Next() {
    const double low = random_.Uniform(draw_) * 0x1p-32;
    const double sum = random_.Uniform(draw_ + 1) + low;
    draw_ += 2;
    return sum < 1.0 ? sum : 1.0 - 0x1p-53;  // the sum may round up
  }

  // Calls visit(i) for each i in [0, trials), independently with `probability`.
  // Draws the gaps between successes (geometric), so that rare ones are cheap.
  template <class Visit>
  void Successes(int64_t trials, double probability, Visit visit) {
    if (!(probability > 0.0)) return;
    const double log_failure = std::log1p(-std::min(probability, 1.0));
    for (int64_t i = 0; i < trials; ++i) {
      const double gap =
          probability >= 1.0 ? 0.0 : std::log1p(-Next()) / log_failure;
      if (gap >= static_cast<double>(trials - i)) return;
      i += static_cast<int64_t>(gap);
      visit(i);
    }
  }

 private:
  CounterRandom random_;
  uint32_t draw_ = 0;
};

}  // namespace subgen
