#include "kernels/base/random.h"

#include "kernels/base/check.h"

namespace subgen {

std::array<uint32_t, 4> Philox(std::array<uint32_t, 4> counter,
                               std::array<uint32_t, 2> key) {
  constexpr uint64_t kMultiplier0 = 0xD2511F53, kMultiplier1 = 0xCD9E8D57;
  constexpr uint32_t kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = kMultiplier0 * counter[0];
    const uint64_t product1 = kMultiplier1 * counter[2];
    counter = {static_cast<uint32_t>(product1 >> 32) ^ counter[1] ^ key[0],
               static_cast<uint32_t>(product1),
               static_cast<uint32_t>(product0 >> 32) ^ counter[3] ^ key[1],
               static_cast<uint32_t>(product0)};
    key = {key[0] + kWeyl0, key[1] + kWeyl1};
  }
  return counter;
}

CounterRandom::CounterRandom(uint64_t seed, int layer, int head,
                             int64_t position)
    : key_{static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)},
      place_(static_cast<uint32_t>(layer) << 16 | static_cast<uint32_t>(head)),
      position_{static_cast<uint32_t>(position),
                static_cast<uint32_t>(position >> 32)} {
  SUBGEN_CHECK(layer >= 0 && layer < 65536 && head >= 0 && head < 65536);
}

double CounterRandom::Uniform(uint32_t draw) const {
  const auto words =
      Philox({draw / 4, place_, position_[0], position_[1]}, key_);
  return words[draw % 4] * 0x1p-32;
}

}  // namespace subgen
