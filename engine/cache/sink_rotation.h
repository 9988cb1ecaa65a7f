// StreamingLLM's positions inside the cache (arXiv 2309.17453, section 3.2):
// distances are as if the dropped tokens had never been. Recent tokens are
// consecutive and stay as they are; only sinks are rotated, by the tokens
// dropped between them and the window. A Hadamard transform that keys went
// through after their rotation is undone for it.
#pragma once

#include <optional>
#include <vector>

#include "kernels/memory/hadamard.h"
#include "kernels/memory/row_format.h"
#include "kernels/rotary.h"

namespace subgen {

class SinkRotation {
 public:
  // Rotates by `delta` positions, without the magnitude, which stored keys
  // have.
  SinkRotation(const Rotary& rotary, int64_t delta,
               std::optional<HadamardTransform> transform);

  // out: [keys.count * keys.dim]
  void Rotate(const Rows& keys, Vector<float> out) const;

 private:
  bool interleaved_;
  std::optional<HadamardTransform> transform_;
  std::vector<double> cosine_, sine_;  // [rotary_dim / 2]
};

}  // namespace subgen
