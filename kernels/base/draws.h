// Random choices belong to one token of one head of one layer. They are the
// same whatever the ranks, the chunks and the tokens before it are.
#pragma once

#include <cmath>

#include "kernels/base/random.h"

namespace subgen {

class Draws {
 public:
  SUBGEN_HOST_DEVICE Draws(const RandomPlace& place, int64_t position)
      : random_(place, position) {}

  // Returns a number that is uniform in [0, 1), with 53 bits.
  SUBGEN_HOST_DEVICE double Next() {
    const double low = random_.Uniform(draw_) * 0x1p-32;
    const double sum = random_.Uniform(draw_ + 1) + low;
    draw_ += 2;
    return sum < 1.0 ? sum : 1.0 - 0x1p-53;  // the sum may round up
  }

  // Calls visit(i) for each i in [0, trials), independently with `probability`.
  // Draws the gaps between successes (geometric), so that rare ones are cheap.
  template <class Visit>
  SUBGEN_HOST_DEVICE void Successes(int64_t trials, double probability,
                                    Visit visit) {
    if (!(probability > 0.0)) return;
    const bool certain = probability >= 1.0;
    const double log_failure = certain ? -1.0 : log1p(-probability);
    for (int64_t i = 0; i < trials; ++i) {
      const double gap = certain ? 0.0 : log1p(-Next()) / log_failure;
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
