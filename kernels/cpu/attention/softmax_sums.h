// The softmax kernels of one query work on these.
#pragma once

#include "kernels/memory/view.h"

namespace subgen::cpu {

// These are the logits of one query over a tile of `count` rows, of which it
// sees the first `visible`. There is room for whole vectors behind both.
struct LogitRow {
  float* logits = nullptr;
  int64_t count = 0;
  int64_t visible = 0;
  const float* bias = nullptr;  // of the partition
};

// These are the sums of one query so far; see SoftmaxPartials.
struct SoftmaxSums {
  float* max_logit = nullptr;
  float* partition = nullptr;
  Vector<float> weighted;
};

}  // namespace subgen::cpu
