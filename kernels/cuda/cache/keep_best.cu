#include "kernels/cuda/cache/keep_best.h"
#include "kernels/cuda/device/warp.h"
#include "kernels/cuda/runtime/launch.h"

namespace subgen::cuda {
namespace {

constexpr int kThreads = 128;

// A block works on one head. All threads call all functions; members are the
// same in each of them.
class ScoredRows {
 public:
  __device__ ScoredRows(const KeepBestHead& head, uint64_t* least_of_warps,
                        int* lowest)
      : head_(head),
        least_of_warps_(least_of_warps),
        lowest_(lowest),
        held_(head.held) {}

  __device__ void Run() {
    while (held_ > head_.limit) {
      const int lowest = Lowest();
      if (lowest != --held_) MoveLastTo(lowest);
    }
    for (int i = 0; i < head_.tokens; ++i) {
      if (held_ < head_.limit) {
        Set(i, held_++);
        continue;
      }
      const int lowest = Lowest();
      const uint64_t own = LeastKey(head_.token_scores[i], 0);
      if (own >= LeastKey(head_.scores[lowest], 0)) Set(i, lowest);
    }
  }

 private:
  // Returns the row of the lowest score; of equal ones, the one with the lowest
  // position. Score and position are one integer, so that one minimum over the
  // block finds the row. As no two rows have the same position, just one thread
  // sets *lowest_.
  __device__ int Lowest() {
    __syncthreads();  // what was set is there, *lowest_ has been read
    uint64_t least = ~uint64_t{0};
    for (int i = threadIdx.x; i < held_; i += kThreads) {
      const uint64_t own = LeastKey(head_.scores[i], head_.positions[i]);
      least = own < least ? own : least;
    }
    least = BlockLeast<kThreads>(least, least_of_warps_);
    for (int i = threadIdx.x; i < held_; i += kThreads) {
      if (LeastKey(head_.scores[i], head_.positions[i]) == least) *lowest_ = i;
    }
    __syncthreads();
    return *lowest_;
  }

  __device__ void CopyRow(const uint8_t* from, uint8_t* to) {
    for (int64_t i = threadIdx.x; i < head_.row_bytes; i += kThreads) {
      to[i] = from[i];
    }
  }
  __device__ void MoveLastTo(int row) {
    const int64_t bytes = head_.row_bytes;
    CopyRow(head_.keys + held_ * bytes, head_.keys + row * bytes);
    CopyRow(head_.values + held_ * bytes, head_.values + row * bytes);
    if (threadIdx.x != 0) return;
    head_.scores[row] = head_.scores[held_];
    head_.positions[row] = head_.positions[held_];
  }
  __device__ void Set(int token, int row) {
    const int64_t bytes = head_.row_bytes;
    __syncthreads();  // all have compared with what was there
    CopyRow(head_.token_keys + token * bytes, head_.keys + row * bytes);
    CopyRow(head_.token_values + token * bytes, head_.values + row * bytes);
    if (threadIdx.x != 0) return;
    head_.scores[row] = head_.token_scores[token];
    head_.positions[row] = static_cast<int32_t>(head_.token_positions[token]);
  }

  const KeepBestHead head_;
  uint64_t* const least_of_warps_;
  int* const lowest_;
  int held_;
};

__global__ void __launch_bounds__(kThreads)
    KeepBest(const KeepBestHead* heads) {
  __shared__ uint64_t least_of_warps[kThreads / kWarp];
  __shared__ int lowest;
  if (heads[blockIdx.x].row_bytes == 0) return;  // an empty piece
  ScoredRows(heads[blockIdx.x], least_of_warps, &lowest).Run();
}

}  // namespace

void KeepBestOfHeads(Queue* queue, const KeepBestHead* heads, int64_t count) {
  Launch(queue, {count, kThreads}, KeepBest, heads);
}

}  // namespace subgen::cuda
