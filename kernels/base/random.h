// Gives counter-based random numbers: Philox4x32-10 (Salmon et al., SC 2011).
// The same (seed, layer, head, position, draw) gives the same number on every
// rank and device, whatever was drawn before.
#pragma once

#include <array>
#include <cstdint>

#include "kernels/base/host_device.h"

namespace subgen {

// Converts the counter of a block into its four independent 32-bit words.
SUBGEN_HOST_DEVICE void PhiloxRounds(uint32_t (&words)[4], uint64_t key) {
  constexpr uint64_t kMultiplier0 = 0xD2511F53, kMultiplier1 = 0xCD9E8D57;
  constexpr uint32_t kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;
  uint32_t key0 = static_cast<uint32_t>(key);
  uint32_t key1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = kMultiplier0 * words[0];
    const uint64_t product1 = kMultiplier1 * words[2];
    words[0] = static_cast<uint32_t>(product1 >> 32) ^ words[1] ^ key0;
    words[1] = static_cast<uint32_t>(product1);
    words[2] = static_cast<uint32_t>(product0 >> 32) ^ words[3] ^ key1;
    words[3] = static_cast<uint32_t>(product0);
    key0 += kWeyl0;
    key1 += kWeyl1;
  }
}

// Does the same, with values for arguments.
std::array<uint32_t, 4> Philox(std::array<uint32_t, 4> counter,
                               std::array<uint32_t, 2> key);

// All streams of draws of one head of one layer share a place.
struct RandomPlace {
  uint64_t seed = 0;
  uint32_t layer_and_head = 0;

  RandomPlace() = default;
  // `head` counts KV heads of the whole model, not of a rank.
  RandomPlace(uint64_t seed, int layer, int head);
};

// This is the stream of draws that belongs to one token of one head of one
// layer.
class CounterRandom {
 public:
  SUBGEN_HOST_DEVICE CounterRandom(const RandomPlace& place, int64_t position)
      : place_(place), position_(static_cast<uint64_t>(position)) {}
  CounterRandom(uint64_t seed, int layer, int head, int64_t position)
      : CounterRandom(RandomPlace(seed, layer, head), position) {}

  // Returns the draw-th number of the stream, uniform in [0, 1), with 32 bits.
  SUBGEN_HOST_DEVICE double Uniform(uint32_t draw) const {
    uint32_t words[4] = {draw / 4, place_.layer_and_head,
                         static_cast<uint32_t>(position_),
                         static_cast<uint32_t>(position_ >> 32)};
    PhiloxRounds(words, place_.seed);
    return words[draw % 4] * 0x1p-32;
  }

 private:
  RandomPlace place_;
  uint64_t position_;
};

}  // namespace subgen
