// Quantizes blocks of numbers to few bits, with the bytes of EncodeBlocks
// (kernels/memory/row_blocks.cc) for numbers that are finite: the operations
// are the same, in the same order. Eight lanes have a block: number i is that
// of lane i % 8.
#pragma once

#include "kernels/cuda/device/numbers.h"
#include "kernels/cuda/device/warp.h"
#include "kernels/memory/row_format.h"

namespace subgen::cuda {

constexpr int kBlockLanes = 8;
constexpr int kMostOfLane = kMostRowBlock / kBlockLanes;

// These are a lane's numbers of a block.
struct BlockShare {
  float numbers[kMostOfLane];
  int count = 0;  // the same in all lanes

  __device__ int lane() const { return threadIdx.x % kBlockLanes; }
  __device__ int size() const { return count * kBlockLanes; }
};

// Returns what `lane` of these eight has.
template <class T>
__device__ __forceinline__ T OfLane(T x, int lane) {
  const int first = threadIdx.x % kWarp / kBlockLanes * kBlockLanes;
  return __shfl_sync(kAllLanes, x, first + lane);
}

// Returns the sum over the block, in its order, of what each number gives.
template <class Term>
__device__ __forceinline__ float SumInOrder(const BlockShare& block,
                                            const Term& term) {
  float sum = 0.0f;
  for (int j = 0; j < block.count; ++j) {
    const float mine = term(block.numbers[j]);
    for (int lane = 0; lane < kBlockLanes; ++lane) sum += OfLane(mine, lane);
  }
  return sum;
}

__device__ __forceinline__ uint32_t F16AtMost(float x) {
  const uint32_t bits = ToF16(x);
  if (!(FromF16(bits) > x)) return bits;
  return bits & 0x8000 ? bits + 1 : bits - 1;
}
__device__ __forceinline__ uint32_t F16AtLeast(float x) {
  return F16AtMost(-x) ^ 0x8000;
}

__device__ __forceinline__ bool AllFinite(const BlockShare& block) {
  int infinite = 0;
  for (int j = 0; j < block.count; ++j) infinite += !isfinite(block.numbers[j]);
  return GroupSum(infinite, kBlockLanes) == 0;
}

__device__ __forceinline__ void Put16(uint32_t bits, uint8_t* out) {
  out[0] = static_cast<uint8_t>(bits);
  out[1] = static_cast<uint8_t>(bits >> 8);
}

// These are the first of the smallest numbers and the last of the largest:
// which one matters, as zeros have signs.
struct Ends {
  float low, high;
};
__device__ __forceinline__ Ends EndsOf(const BlockShare& block) {
  float low = block.numbers[0], high = low;
  int low_at = block.lane(), high_at = low_at;
  const auto take = [&](float x, int x_at, float y, int y_at) {
    if (x < low || (x == low && x_at < low_at)) low = x, low_at = x_at;
    if (y > high || (y == high && y_at > high_at)) high = y, high_at = y_at;
  };
  for (int j = 1; j < block.count; ++j) {
    const int at = j * kBlockLanes + block.lane();
    take(block.numbers[j], at, block.numbers[j], at);
  }
  for (int mask = 1; mask < kBlockLanes; mask *= 2) {
    const float other_low = __shfl_xor_sync(kAllLanes, low, mask);
    const int other_low_at = __shfl_xor_sync(kAllLanes, low_at, mask);
    const float other_high = __shfl_xor_sync(kAllLanes, high, mask);
    const int other_high_at = __shfl_xor_sync(kAllLanes, high_at, mask);
    take(other_low, other_low_at, other_high, other_high_at);
  }
  return {low, high};
}

// The grid is minimum + scale * {0, ..., levels}; both are held as f16 bits and
// as numbers.
struct BlockGrid {
  uint32_t scale_bits, minimum_bits;
  float scale, minimum;
  int levels;

  __device__ bool legal() const { return scale > 0.0f && isfinite(scale); }
  __device__ int Nearest(float x) const {  // 0 where it is not legal
    if (!legal()) return 0;
    float quant = (x - minimum) / scale;
    quant = quant < 0.0f ? 0.0f : 1.0f * levels < quant ? 1.0f * levels : quant;
    return static_cast<int>(quant + 0.5f);
  }
};

__device__ __forceinline__ BlockGrid GridOf(float low, float high, int levels) {
  BlockGrid grid;
  grid.levels = levels;
  grid.minimum_bits = F16AtMost(low);
  grid.minimum = FromF16(grid.minimum_bits);
  grid.scale_bits = F16AtLeast((high - grid.minimum) / levels);
  grid.scale = FromF16(grid.scale_bits);
  return grid;
}

__device__ __forceinline__ float SquaredError(const BlockShare& block,
                                              const BlockGrid& grid) {
  float mine = 0.0f, sum = 0.0f;
  for (int j = 0; j < block.count; ++j) {
    const float x = block.numbers[j];
    const float error = grid.minimum + grid.scale * grid.Nearest(x) - x;
    mine += error * error;
  }
  for (int lane = 0; lane < kBlockLanes; ++lane) sum += OfLane(mine, lane);
  return sum;
}

__device__ __forceinline__ bool HasOutliers(const BlockShare& block,
                                            float range) {
  const float size = static_cast<float>(block.size());
  const float mean = SumInOrder(block, [](float x) { return x; }) / size;
  const float squares =
      SumInOrder(block, [mean](float x) { return (x - mean) * (x - mean); });
  return range * range > 36.0f * squares / size;
}

// Does what QuantizeClosely does. Lanes of other blocks of the warp may go
// another way, so all lanes do all of it.
__device__ __forceinline__ BlockGrid CloseGrid(const BlockShare& block,
                                               int levels) {
  const auto [low, high] = EndsOf(block);
  BlockGrid best = GridOf(low, high, levels);
  if (!AllFinite(block)) {
    best.scale_bits = 0x7e00;
    best.scale = FromF16(best.scale_bits);
  }
  const bool outliers = HasOutliers(block, high - low);
  const bool cuts = best.legal() && !outliers;
  float least = SquaredError(block, best);
  const float shares[] = {0.03f, 0.06f, 0.09f};
  for (const float share : shares) {
    const float less = share * (high - low);
    const BlockGrid grid = GridOf(low + less, high - less, levels);
    const float error = SquaredError(block, grid);
    if (!cuts || !(error < least)) continue;
    least = error;
    best = grid;
  }
  return best;
}

__device__ __forceinline__ void EncodeQ8(const BlockShare& block, bool writes,
                                         uint8_t* out) {
  const bool finite = AllFinite(block);
  float largest = 0.0f;
  for (int j = 0; j < block.count; ++j) {
    largest = fmaxf(largest, fabsf(block.numbers[j]));
  }
  for (int mask = 1; mask < kBlockLanes; mask *= 2) {
    largest = fmaxf(largest, __shfl_xor_sync(kAllLanes, largest, mask));
  }
  if (!writes) return;
  const uint32_t bits = finite ? F16AtLeast(largest / 127.0f) : 0x7e00;
  const float scale = FromF16(bits);
  const bool some = scale > 0.0f && isfinite(scale);
  if (block.lane() == 0) Put16(bits, out);
  for (int j = 0; j < block.count; ++j) {
    const float quant = some ? block.numbers[j] / scale : 0.0f;
    int rounded = static_cast<int>(quant + (quant < 0.0f ? -0.5f : 0.5f));
    rounded = rounded < -127 ? -127 : rounded > 127 ? 127 : rounded;
    out[2 + j * kBlockLanes + block.lane()] = static_cast<uint8_t>(rounded);
  }
}

__device__ __forceinline__ void EncodeQ4(const BlockShare& block, bool writes,
                                         uint8_t* out) {
  const BlockGrid grid = CloseGrid(block, 15);
  if (!writes) return;
  if (block.lane() == 0) {
    Put16(grid.scale_bits, out);
    Put16(grid.minimum_bits, out + 2);
  }
  const int half = block.count / 2;
  for (int j = 0; j < half; ++j) {
    const int low = grid.Nearest(block.numbers[j]);
    const int high = grid.Nearest(block.numbers[half + j]);
    out[4 + j * kBlockLanes + block.lane()] =
        static_cast<uint8_t>(low | high << 4);
  }
}

// Stores eight numbers of three bits in three bytes.
__device__ __forceinline__ void EncodeQ3(const BlockShare& block, bool writes,
                                         uint8_t* out) {
  const BlockGrid grid = CloseGrid(block, 7);
  if (writes && block.lane() == 0) {
    Put16(grid.scale_bits, out);
    Put16(grid.minimum_bits, out + 2);
  }
  for (int j = 0; j < block.count; ++j) {
    const int quant = grid.Nearest(block.numbers[j]);
    const int bits = GroupSum(quant << 3 * block.lane(), kBlockLanes);
    if (!writes || block.lane() >= 3) continue;
    out[4 + 3 * j + block.lane()] =
        static_cast<uint8_t>(bits >> 8 * block.lane());
  }
}

// Encodes a block. All lanes of a warp call it, with the same count; those that
// do not write may give any numbers.
__device__ __forceinline__ void EncodeBlock(RowFormat format,
                                            const BlockShare& block,
                                            bool writes, uint8_t* out) {
  if (format == RowFormat::kQ8) {
    EncodeQ8(block, writes, out);
  } else if (format == RowFormat::kQ4) {
    EncodeQ4(block, writes, out);
  } else {
    EncodeQ3(block, writes, out);
  }
}

}  // namespace subgen::cuda
