#include <limits>

#include "kernels/cuda/dense/top.h"
#include "kernels/cuda/device/numbers.h"
#include "kernels/cuda/device/warp.h"
#include "kernels/cuda/runtime/launch.h"
#include "kernels/cuda/runtime/staging.h"
#include "kernels/top_numbers.h"

namespace subgen::cuda {
namespace {

constexpr int kTile = 1024;  // numbers that a block sorts
constexpr int kThreads = 256;
constexpr int kEach = kTile / kThreads;
// Each round must leave fewer keys than the one before.
static_assert(2 * kMostTop <= kTile);

// Keys ascend where numbers are in the order of IsBefore (NaN somewhere): the
// number's bits are above, its column below. A sort of integers then decides
// between equal numbers too.
using Key = uint64_t;
constexpr Key kNoKey = std::numeric_limits<Key>::max();

__device__ Key KeyOf(float x, int64_t column) {
  const uint32_t bits = BitsOf(x + 0.0f);  // the same for both zeros
  const uint32_t ascending = bits >> 31 ? ~bits : bits | 0x80000000u;
  return static_cast<Key>(~ascending) << 32 | static_cast<uint32_t>(column);
}
__device__ int64_t ColumnOf(Key key) {
  return static_cast<int64_t>(key & 0xffffffffu);
}

// This is what a tile knows of its numbers: the sum of exp(scale (x -
// largest)).
struct TileSum {
  double sum;
  float largest;
  int finite;
};

// Sorts bitonically: pairs whose indices differ in one bit are put in order, in
// the direction that their run is to have.
__device__ void Sort(Key* keys) {
  for (int run = 2; run <= kTile; run *= 2) {
    for (int apart = run / 2; apart > 0; apart /= 2) {
      __syncthreads();
      for (int pair = threadIdx.x; pair < kTile / 2; pair += kThreads) {
        const int low = 2 * pair - pair % apart, high = low + apart;
        const bool descending = (low & run) != 0;
        const Key x = keys[low], y = keys[high];
        if ((x > y) == descending) continue;
        keys[low] = y;
        keys[high] = x;
      }
    }
  }
  __syncthreads();
}

// Returns the sum of what all threads of a block give, in each of them.
__device__ double BlockSum(double x) {
  __shared__ double sums[kThreads / kWarp];
  x = GroupSum(x);
  __syncthreads();
  if (threadIdx.x % kWarp == 0) sums[threadIdx.x / kWarp] = x;
  __syncthreads();
  double sum = 0.0;
  for (const double part : sums) sum += part;
  return sum;
}

__device__ double Exponential(float scale, float x, float largest) {
  return scale == 0.0f ? 0.0 : expf(scale * (x - largest));
}

// Takes a tile per block, and leaves the first `most` keys of each.
__global__ void __launch_bounds__(kThreads)
    SortNumbers(Matrix<const float> rows, int64_t most, const float* scales,
                Key* best, TileSum* sums) {
  __shared__ Key keys[kTile];
  const int64_t tiles = (rows.cols + kTile - 1) / kTile;
  const int64_t row = blockIdx.x / tiles, first = blockIdx.x % tiles * kTile;
  const float* const numbers = rows.data + row * rows.stride;
  double infinite = 0.0;
  for (int i = threadIdx.x; i < kTile; i += kThreads) {
    const int64_t column = first + i;
    keys[i] = column < rows.cols ? KeyOf(numbers[column], column) : kNoKey;
    if (column < rows.cols && !isfinite(numbers[column])) infinite += 1.0;
  }
  Sort(keys);
  for (int i = threadIdx.x; i < most; i += kThreads) {
    best[blockIdx.x * most + i] = keys[i];
  }
  const float largest = numbers[ColumnOf(keys[0])];
  double sum = 0.0;
  for (int i = 0; i < kEach; ++i) {
    const int64_t column = first + i * kThreads + threadIdx.x;
    if (column >= rows.cols) break;
    sum += Exponential(scales[row], numbers[column], largest);
  }
  sum = BlockSum(sum);
  infinite = BlockSum(infinite);
  if (threadIdx.x == 0) sums[blockIdx.x] = {sum, largest, infinite == 0.0};
}

// Loads and sorts a tile of the `count` keys of a row.
__device__ void LoadAndSort(const Key* row, int64_t first, int64_t count,
                            Key* keys) {
  for (int i = threadIdx.x; i < kTile; i += kThreads) {
    keys[i] = first + i < count ? row[first + i] : kNoKey;
  }
  Sort(keys);
}

// Takes a tile per block; a row of `count` keys has `tiles` of them.
__global__ void __launch_bounds__(kThreads)
    SortKeys(const Key* from, int64_t count, int64_t tiles, int64_t most,
             Key* best) {
  __shared__ Key keys[kTile];
  LoadAndSort(from + blockIdx.x / tiles * count, blockIdx.x % tiles * kTile,
              count, keys);
  for (int i = threadIdx.x; i < most; i += kThreads) {
    best[blockIdx.x * most + i] = keys[i];
  }
}

// Takes a row per block, whose `count` keys are at most a tile, and the sums of
// all its tiles.
__global__ void __launch_bounds__(kThreads)
    WriteTops(Matrix<const float> rows, const float* scales, const Key* from,
              int64_t count, const TileSum* sums, Matrix<float> output) {
  __shared__ Key keys[kTile];
  const int64_t row = blockIdx.x, tiles = (rows.cols + kTile - 1) / kTile;
  const int64_t most = (output.cols - 2) / 2;
  const float* const numbers = rows.data + row * rows.stride;
  float* const out = output.data + row * output.stride;
  LoadAndSort(from + row * count, 0, count, keys);
  for (int i = threadIdx.x; i < most; i += kThreads) {
    const bool is_key = keys[i] != kNoKey;
    const int64_t column = is_key ? ColumnOf(keys[i]) : -1;
    out[i] = is_key ? numbers[column] : -INFINITY;
    out[most + i] = FloatOf(static_cast<uint32_t>(column));
  }
  double sum = 0.0, infinite = 0.0;
  for (int64_t tile = threadIdx.x; tile < tiles; tile += kThreads) {
    const TileSum& part = sums[row * tiles + tile];
    const float largest = numbers[ColumnOf(keys[0])];
    // A tile of nothing but -inf adds nothing, and -inf - -inf would be a NaN.
    if (part.largest != -INFINITY) {
      sum += part.sum * Exponential(scales[row], part.largest, largest);
    }
    if (part.finite == 0) infinite += 1.0;
  }
  sum = BlockSum(sum);
  infinite = BlockSum(infinite);
  if (threadIdx.x != 0) return;
  out[2 * most] = static_cast<float>(sum);
  out[2 * most + 1] = infinite == 0.0 ? 1.0f : 0.0f;
}

template <class T>
T* ScratchOf(Operation* operation, int64_t count) {
  static_assert(sizeof(T) % sizeof(float) == 0);
  return reinterpret_cast<T*>(
      operation->Scratch(count * (sizeof(T) / sizeof(float))));
}

}  // namespace

void Top(Operation* operation, Matrix<const float> rows, const float* scales,
         Matrix<float> output) {
  Queue* const queue = operation->queue();
  const int64_t most = TopMost(output.cols);
  int64_t tiles = CeilDivide(rows.cols, kTile);
  TileSum* const sums = ScratchOf<TileSum>(operation, rows.rows * tiles);
  Key* keys = ScratchOf<Key>(operation, rows.rows * tiles * most);
  Launch(queue, {rows.rows * tiles, kThreads}, SortNumbers, rows, most, scales,
         keys, sums);
  while (tiles * most > kTile) {
    const int64_t count = tiles * most;
    tiles = CeilDivide(count, kTile);
    Key* const fewer = ScratchOf<Key>(operation, rows.rows * tiles * most);
    Launch(queue, {rows.rows * tiles, kThreads}, SortKeys, keys, count, tiles,
           most, fewer);
    keys = fewer;
  }
  Launch(queue, {rows.rows, kThreads}, WriteTops, rows, scales, keys,
         tiles * most, sums, output);
}

}  // namespace subgen::cuda
