#include "kernels/base/random.h"

#include "kernels/base/check.h"

namespace subgen {

std::array<uint32_t, 4> Philox(std::array<uint32_t, 4> counter,
                               std::array<uint32_t, 2> key) {
  uint32_t words[4] = {counter[0], counter[1], counter[2], counter[3]};
  PhiloxRounds(words, static_cast<uint64_t>(key[1]) << 32 | key[0]);
  return {words[0], words[1], words[2], words[3]};
}

RandomPlace::RandomPlace(uint64_t seed, int layer, int head)
    : seed(seed),
      layer_and_head(static_cast<uint32_t>(layer) << 16 |
                     static_cast<uint32_t>(head)) {
  SUBGEN_CHECK(layer >= 0 && layer < 65536 && head >= 0 && head < 65536);
}

}  // namespace subgen
