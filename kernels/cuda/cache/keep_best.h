// Keeps rows by their scores (kernels/keep_best.h) on device memory, one head
// per block. Calls are put on the queue and return at once.
#pragma once

#include <cstdint>

namespace subgen::cuda {

class Queue;

// This is a KeepBestTask for the device, whose pointers are the device's.
struct KeepBestHead {
  int64_t row_bytes = 0;  // 0: nothing to do
  int held = 0;
  int limit = 0;
  int tokens = 0;
  uint8_t* keys = nullptr;
  uint8_t* values = nullptr;
  float* scores = nullptr;
  int32_t* positions = nullptr;
  const uint8_t* token_keys = nullptr;
  const uint8_t* token_values = nullptr;
  const float* token_scores = nullptr;
  const int64_t* token_positions = nullptr;
};

// heads is an array on the device.
void KeepBestOfHeads(Queue* queue, const KeepBestHead* heads, int64_t count);

}  // namespace subgen::cuda
