// Rotary position embedding on device memory; put on the queue, returns at
// once. As in kernels/backend.h, whose caller has checked the shapes.
#pragma once

#include "kernels/heads.h"
#include "kernels/memory/view.h"

namespace subgen::cuda {

class Queue;

// kernels/rotary.h, and the tokens that turn by it. Of the device.
struct RotaryAngles {
  const double* inverse_frequency = nullptr;
  int64_t pairs = 0;
  double magnitude = 1.0;
  bool interleaved = false;
  const int64_t* positions = nullptr;  // [tokens]
};

struct HeadSplit {
  HeadLayout layout;
  float scale = 1.0f;
};

void Rotate(Queue* queue, const RotaryAngles& angles, int64_t head_dim,
            Matrix<float> heads);
// token_major stays as it is.
void RotateAndSplitHeads(Queue* queue, const RotaryAngles& angles,
                         const HeadSplit& split,
                         Matrix<const float> token_major,
                         Matrix<float> head_major);

}  // namespace subgen::cuda
