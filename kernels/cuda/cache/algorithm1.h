// Inserts tokens into SubGen's clusters and value samples
// (kernels/algorithm1.h) on device memory, one head per block. Calls are put on
// the queue and return at once.
#pragma once

#include <cstdint>

#include "kernels/base/random.h"
#include "kernels/memory/row_format.h"

namespace subgen::cuda {

class Queue;

// This is a ClusterTask for the device. Pointers are of the device, null where
// an array is empty.
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
  // These are room for what the kernel computes; they are not filled.
  float* squared = nullptr;   // [room] distances of a key
  int32_t* chosen = nullptr;  // [max(samples, slots)] that a token enters
};

// heads is an array on the device; all rows have one format.
void InsertClustersOfHeads(Queue* queue, RowFormat format,
                           const ClusterHead* heads, int64_t count);

}  // namespace subgen::cuda
