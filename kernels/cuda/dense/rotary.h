// Rotary position embedding on device memory; put on the queue, returns at
// once. As in kernels/attention_ops.h, whose caller has checked the shapes.
#pragma once

#include "kernels/heads.h"
#include "kernels/memory/view.h"

namespace subgen::cuda {

class Queue;

// kernels/rotary.h, and the tokens that are rotated by it. Of the device.
struct RotaryAngles {
  const double* inverse_frequency = nullptr;
  int64_t pairs = 0;
  double magnitude = 1.0;
  bool interleaved = false;
  const int64_t* positions = nullptr;  // [tokens]
};

// HeadSplit (kernels/heads.h). Without pairs nothing turns.
struct HeadSplitPiece {
  int64_t end = 0;  // threads of this one and of those before it
  RotaryAngles angles;
  HeadLayout layout;
  Matrix<const float> token_major;
  float scale = 1.0f;
  Matrix<float> head_major;
};

void Rotate(Queue* queue, const RotaryAngles& angles, int64_t head_dim,
            Matrix<float> heads);
// pieces: an array on the device, `threads` the end of its last.
void SplitHeads(Queue* queue, const HeadSplitPiece* pieces, int64_t threads);

}  // namespace subgen::cuda
