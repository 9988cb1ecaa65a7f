// Counter-based random numbers: Philox4x32-10 (Salmon et al., SC 2011). The
// same (seed, layer, head, position, draw) gives the same number on every rank
// and device, whatever was drawn before.
#pragma once

#include <array>
#include <cstdint>

namespace subgen {

// One Philox block: four independent 32-bit words.
std::array<uint32_t, 4> Philox(std::array<uint32_t, 4> counter,
                               std::array<uint32_t, 2> key);

// The stream of draws that belongs to one token of one head of one layer.
class CounterRandom {
 public:
  // `head` counts KV heads of the whole model, not of a rank.
  CounterRandom(uint64_t seed, int layer, int head, int64_t position);

  // The draw-th number of the stream, uniform in [0, 1), 32 bits of it.
  double Uniform(uint32_t draw) const;

 private:
  std::array<uint32_t, 2> key_;
  uint32_t place_;  // layer and head
  std::array<uint32_t, 2> position_;
};

}  // namespace subgen
