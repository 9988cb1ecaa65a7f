// The benchmark says how near the kernels of a backend come to what its memory
// gives.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "kernels/backend.h"

namespace subgen {

struct KernelBenchOptions {
  std::vector<int64_t> rows = {8192, 131072};  // of each KV head's cache
  RowFormat row_format = RowFormat::kBF16;
  BlockFormat weight_format = BlockFormat::kQ4_0;
  int64_t embedding = 4096;  // of the linears; 7B models have 4096 and 11008
  int64_t feed_forward = 11008;
  int64_t head_dim = 128;
  int kv_heads = 8;
  int group = 4;
  int64_t prompt_tokens = 256;
  std::vector<std::string> kernels = {"linear", "prompt", "attention",
                                      "distances"};
  int repetitions = 5;   // the median counts
  double seconds = 0.1;  // of a repetition, at least
};

struct KernelRow {
  std::string kernel, shape;
  int64_t bytes = 0;        // that it must move
  double operations = 0.0;  // products and sums
  double microseconds = 0.0;
  double bandwidth() const { return bytes / microseconds / 1e3; }   // GB/s
  double speed() const { return operations / microseconds / 1e6; }  // TFLOP/s
};

// Times copy (GatherRows of 256 MB), linear of one token, of 16 and of a
// prompt, attention of a prompt over the first number of rows, attention of one
// token and distances of one token over each number of rows: those of
// options.kernels, and always the copy. Each row is handed over as it comes.
void RunKernelBench(const KernelBenchOptions& options, Backend& backend,
                    const std::function<void(const KernelRow&)>& each);

}  // namespace subgen
