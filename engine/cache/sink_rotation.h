// StreamingLLM's positions inside the cache (arXiv 2309.17453, section 3.2):
// distances are as if the dropped tokens had never been. Recent tokens are
// consecutive and stay as they are; only sinks turn, by the tokens dropped
// between them and the window. Keys that went through a Hadamard turn after
// their rotation are turned back for it.
#pragma once

#include <optional>
#include <vector>

#include "kernels/memory/hadamard.h"
#include "kernels/memory/row_format.h"
#include "kernels/rotary.h"

namespace subgen {

class SinkRotation {
 public:
  // Turns by `delta` positions, without the magnitude, which stored keys have.
  SinkRotation(const Rotary& rotary, int64_t delta,
               std::optional<HadamardTurn> turn);

  // out: [keys.count * keys.dim]
  void Turn(const Rows& keys, Vector<float> out) const;

 private:
  bool interleaved_;
  std::optional<HadamardTurn> turn_;
  std::vector<double> cosine_, sine_;  // [rotary_dim / 2]
};

}  // namespace subgen
