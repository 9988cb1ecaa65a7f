// These are the two estimators of SubGen's Algorithm 1 (arXiv 2402.06082), as a
// backend keeps them for one head. The partition is estimated from online
// clusters of keys, each with a representative, t uniform samples and a count.
// The value sum is estimated from s slots, each of which holds an independent
// sample of the tokens by their squared value norm. (These slots are the
// paper's; they are not the slots of sequences.)
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/base/random.h"
#include "kernels/weighted_rows.h"

namespace subgen {

// There is room for room() clusters, of which the first are held: those whose
// counts are not 0. Samples of the others have a bias of minus infinity.
struct ClusterArrays {
  RowFormat format = RowFormat::kF32;
  int64_t dim = 0;
  int64_t samples = 1;                   // t, per cluster
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

// Tokens join one after another. A key within the radius of the nearest
// representative joins its cluster; another key opens a cluster of its own.
// Where `limit` clusters are held already, the radius first doubles, or grows
// by more if that is what makes two clusters merge; then each representative
// within the radius of an earlier one merges with the nearest (Charikar et al.
// 1997). Where nothing merges, the key joins the first cluster. Which samples
// and slots the token enters is drawn from (place, position). A value of norm 0
// enters no slot.
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
// Sets all of them, for arrays that were saved without their biases.
void SetClusterBiases(const ClusterArrays& arrays);

}  // namespace subgen
