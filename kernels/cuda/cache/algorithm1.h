// Tokens that join SubGen's clusters and value samples (kernels/algorithm1.h)
// on device memory, one head a block; put on the queue, returns at once.
#pragma once

#include <cstdint>

#include "kernels/base/random.h"
#include "kernels/memory/row_format.h"

namespace subgen::cuda {

class Queue;

// A ClusterTask. Pointers are of the device, null where an array is empty.
struct ClusterHead {
  RandomPlace place;
  int dim = 0;  // <= kMostHeadDim
  int limit = 0;
  int room = 0;
  int samples = 0;
  int slots = 0;
  int tokens = 0;
  int64_t row_bytes = 0;
  uint8_t* representatives = nullptr;
  uint8_t* sample_keys = nullptr;
  uint8_t* slot_keys = nullptr;
  uint8_t* slot_values = nullptr;
  const uint8_t* token_keys = nullptr;
  const uint8_t* token_values = nullptr;
  const int64_t* positions = nullptr;
  int32_t* counts = nullptr;
  float* sample_bias = nullptr;
  float* log_norms = nullptr;
  float* slot_bias = nullptr;
  double* totals = nullptr;
  // Room for what follows; not filled.
  float* squared = nullptr;   // [room] distances of a key
  int32_t* chosen = nullptr;  // [max(samples, slots)] that a token enters
};

// An array on the device; all rows of one format.
void InsertClustersOfHeads(Queue* queue, RowFormat format,
                           const ClusterHead* heads, int64_t count);

}  // namespace subgen::cuda
