// These are decode steps of a toy model on the emulated device, with what each
// asked of the runtime.
#pragma once

#include <cuda_runtime_api.h>

#include <functional>
#include <memory>
#include <vector>

#include "comm/thread_ranks.h"
#include "engine/decode/engine.h"
#include "tests/support/small_cache.h"

namespace subgen {

struct ToySteps {
  std::vector<std::vector<float>> logits;    // of each step that asked for them
  std::vector<std::vector<TopNumber>> tops;  // of each other step
  std::vector<emulation::Counts> counts;     // after each step, of all ranks
  std::string note;
};

struct ToyRun {
  CacheConfig cache;
  int64_t head_dim = 16;
  std::string backend = "cuda";
  std::string merge = "all_gather";
  int ranks = 1;
  int64_t prompt = 70, tokens = 110;  // the others are decoded one by one
  int64_t top = 0;  // logits that are read of each step; 0: all
  // Makes the world of a rank; by default ranks are threads.
  std::function<absl::StatusOr<std::unique_ptr<Communicator>>(
      std::unique_ptr<Communicator>)>
      make_world;
};

ToySteps RunToySteps(const ToyRun& run);

// This is what the steps [first, end) asked for, on the mean.
struct MeanCounts {
  double graph_launches, put, waits, uploads, allocations, kernels, collectives,
      bytes_to_host;
};
MeanCounts MeanOf(const ToySteps& steps, int first, int end);

}  // namespace subgen
