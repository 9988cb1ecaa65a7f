// Does rotary position embedding on device memory. Calls are put on the queue
// and return at once. They do what kernels/attention_ops.h says; its caller has
// checked the shapes.
#pragma once

#include "kernels/heads.h"
#include "kernels/memory/view.h"

namespace subgen::cuda {

class Queue;

// These are the angles of kernels/rotary.h and the positions of the tokens that
// are rotated by them, on the device.
struct RotaryAngles {
  const double* inverse_frequency = nullptr;
  int64_t pairs = 0;
  double magnitude = 1.0;
  bool interleaved = false;
  const int64_t* positions = nullptr;  // [tokens]
};

// This is HeadSplit (kernels/heads.h). Without pairs nothing is rotated.
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
// pieces is an array on the device; `threads` is the end of its last.
void SplitHeads(Queue* queue, const HeadSplitPiece* pieces, int64_t threads);

}  // namespace subgen::cuda
