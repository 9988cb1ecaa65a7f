#include "kernels/algorithm1.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace subgen {

void SetSampleBias(const ClusterArrays& arrays, int64_t cluster) {
  constexpr float kNone = -std::numeric_limits<float>::infinity();
  const int64_t t = arrays.samples;
  const double weight = static_cast<double>(arrays.counts[cluster]) / t;
  const float bias =
      weight > 0.0 ? static_cast<float>(std::log(weight)) : kNone;
  std::fill_n(arrays.sample_bias.begin() + cluster * t, t, bias);
}

void SetSlotBiases(const ClusterArrays& arrays) {
  const double log_weight =
      std::log(arrays.totals[1] / static_cast<double>(arrays.slots()));
  for (int64_t i = 0; i < arrays.slots(); ++i) {
    arrays.slot_bias[i] = static_cast<float>(log_weight - arrays.log_norms[i]);
  }
}

void SetClusterBiases(const ClusterArrays& arrays) {
  for (int64_t i = 0; i < arrays.room(); ++i) SetSampleBias(arrays, i);
  SetSlotBiases(arrays);
}

}  // namespace subgen
