// The two estimators of SubGen's Algorithm 1 (arXiv 2402.06082), as a backend
// keeps them for one head: of the partition, online clusters of keys, each with
// a representative, t uniform samples and a count; of the value sum, s slots,
// each an independent sample of the tokens by their squared value norm.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/base/random.h"
#include "kernels/weighted_rows.h"

namespace subgen {

// Of `room` clusters the first are held, those whose counts are not 0; samples
// of the others have a bias of minus infinity.
struct ClusterArrays {
  RowFormat format = RowFormat::kF32;
  int64_t dim = 0;
  int64_t samples = 1;                   // t, of a cluster
  std::byte* representatives = nullptr;  // [room, dim] keys
  std::byte* sample_keys = nullptr;      // [room * t, dim]
  Vector<int32_t> counts;                // [room] tokens of each
  Vector<float> sample_bias;             // [room * t] log(count / t)
  std::byte* slot_keys = nullptr;        // [s, dim]
  std::byte* slot_values = nullptr;      // [s, dim]
  Vector<float> log_norms;               // [s] log |v|^2
  Vector<float> slot_bias;               // [s] log(mu / s) - log |v|^2
  Vector<double> totals;                 // [2] squared radius of a cluster;
                                         // mu, the sum of all |v|^2

  int64_t room() const { return static_cast<int64_t>(counts.size()); }
  int64_t slots() const { return static_cast<int64_t>(slot_bias.size()); }
};

// Tokens that join, one after another. A key within the radius of the nearest
// representative joins its cluster, another opens one; where `limit` are held,
// the radius doubles first, or more if that is what makes two clusters merge,
// and representatives within it of an earlier one merge with the nearest
// (Charikar et al. 1997); where nothing merges, the key joins the first. Which
// samples and slots the token enters is drawn from (place, position). A value
// of norm 0 enters no slot.
struct ClusterTask {
  ClusterArrays arrays;  // of at least min(limit, clusters + tokens) room
  int64_t limit = 1;     // clusters
  RandomPlace place;
  Rows keys, values;  // of the tokens, in the format of the arrays
  Vector<const int64_t> positions;

  int64_t tokens() const { return keys.count; }
};

// Sets the biases of the samples of a cluster, and those of all slots, from
// the counts and totals.
void SetSampleBias(const ClusterArrays& arrays, int64_t cluster);
void SetSlotBiases(const ClusterArrays& arrays);
// All of them, for arrays that were saved without their biases.
void SetClusterBiases(const ClusterArrays& arrays);

}  // namespace subgen
