// One block of the device does Algorithm 1 of SubGen for one head: tokens
// depend on those before them, so a head is not split. It does what
// reference/algorithm1.cc does, with the same draws.
#pragma once

#include "kernels/base/draws.h"
#include "kernels/cuda/cache/algorithm1.h"
#include "kernels/cuda/cache/row_shares.h"
#include "kernels/neighbors.h"

namespace subgen::cuda {

inline constexpr int kClusterThreads = 256;

// A block works on one head. All threads call all functions. Members that are
// no arrays are the same in each thread, so that all threads take the same
// branches and meet at the barriers.
template <RowFormat format>
class Clusters {
  static constexpr int kThreads = kClusterThreads;
  static constexpr int kGroups = kThreads / kLanesOfRow;  // rows at once

 public:
  __device__ Clusters(const ClusterHead& head, uint64_t* least_of_warps,
                      int* chosen_count)
      : head_(head),
        least_of_warps_(least_of_warps),
        chosen_count_(chosen_count),
        squared_radius_(head.totals[0]),
        mu_(head.totals[1]) {}

  __device__ void Run() {
    CountHeld();
    for (int i = 0; i < head_.tokens; ++i) {
      Draws draws(head_.place, head_.positions[i]);  // thread 0 draws
      InsertKey(head_.token_keys + i * head_.row_bytes, &draws);
      InsertValue(i, &draws);
    }
    SetBiases();
  }

 private:
  __device__ uint8_t* Representative(int i) const {
    return head_.representatives + i * head_.row_bytes;
  }
  __device__ uint8_t* Samples(int cluster) const {
    return head_.sample_keys +
           static_cast<int64_t>(cluster) * head_.samples * head_.row_bytes;
  }

  __device__ void CountHeld() {
    uint64_t none = head_.room;
    for (int i = threadIdx.x; i < head_.room; i += kThreads) {
      if (head_.counts[i] == 0 && static_cast<uint64_t>(i) < none) none = i;
    }
    held_ = static_cast<int>(BlockLeast<kThreads>(none, least_of_warps_));
  }

  // Measures a key against the first `count` representatives, and calls
  // each(row, squared) in one thread for each.
  template <class Each>
  __device__ void ForDistances(const uint8_t* key, int count, Each each) {
    Share own, other;
    LoadShare<format>(key, head_.dim, own);
    for (int at = threadIdx.x / kWarp * kRowsAtOnce; at < count;
         at += kGroups) {
      const int j = at + RowOfLane();
      LoadShare<format>(Representative(j < count ? j : 0), head_.dim, other);
      const float squared = GroupSum(OfPoints(own, other), kLanesOfRow);
      if (j < count && PartOfLane() == 0) each(j, squared);
    }
  }

  // Returns the nearest of the first `count` representatives, the first of
  // equal ones, with NaN distances last. Returns -1 if the nearest is beyond
  // the radius.
  __device__ int Covering(const uint8_t* key, int count) {
    if (count == 0) return -1;
    __syncthreads();  // distances before may still be read
    uint64_t least = LeastKey(FloatOf(0x7fffffffu), count);
    ForDistances(key, count, [&](int row, float squared) {
      head_.squared[row] = squared;
      const uint64_t own = LeastKey(squared, row);
      least = own < least ? own : least;
    });
    least = BlockLeast<kThreads>(least, least_of_warps_);
    const int nearest = static_cast<int>(least & 0xffffffffu);
    if (nearest >= count) return -1;
    return head_.squared[nearest] <= squared_radius_ ? nearest : -1;
  }

  __device__ void InsertKey(const uint8_t* key, Draws* draws) {
    int cluster = Covering(key, held_);
    if (cluster < 0 && held_ == head_.limit) {
      Double(draws);
      cluster = Covering(key, held_);
      if (cluster < 0 && held_ == head_.limit) cluster = 0;
    }
    if (cluster >= 0) {
      Join(cluster, key, draws);
    } else {
      Open(key);
    }
  }

  __device__ void Join(int cluster, const uint8_t* key, Draws* draws) {
    const int32_t count = head_.counts[cluster] + 1;
    Choose(draws, head_.samples, 1.0 / count);
    CopyChosen(key, 0, Samples(cluster));
    SetCount(cluster, count);
  }

  __device__ void Open(const uint8_t* key) {
    const int cluster = held_++;
    CopyRows(key, 0, Representative(cluster), 1);
    CopyRows(key, 0, Samples(cluster), head_.samples);
    SetCount(cluster, 1);
  }

  __device__ float SmallestDistance() {
    uint64_t least = LeastKey(FloatOf(0x7f800000u), 0);
    for (int i = 1; i < held_; ++i) {
      ForDistances(Representative(i), i, [&](int, float squared) {
        const uint64_t own = LeastKey(squared, 0);
        least = own < least ? own : least;
      });
    }
    least = BlockLeast<kThreads>(least, least_of_warps_);
    return FloatOf(static_cast<uint32_t>(least >> 32));
  }

  __device__ void Double(Draws* draws) {
    const double smallest = SmallestDistance();
    squared_radius_ *= 4.0;
    if (smallest <= Neighbor::kMost && squared_radius_ < smallest) {
      squared_radius_ = smallest;
    }
    const int before = held_;
    held_ = before < 1 ? before : 1;
    for (int i = 1; i < before; ++i) {
      const int into = Covering(Representative(i), held_);
      if (into >= 0) {
        MergeInto(into, i, draws);
      } else {
        Move(i, held_++);
      }
    }
    for (int i = held_ + threadIdx.x; i < before; i += kThreads) {
      head_.counts[i] = 0;
    }
    __syncthreads();
  }

  __device__ void MergeInto(int into, int from, Draws* draws) {
    const int32_t own = head_.counts[from], count = head_.counts[into] + own;
    Choose(draws, head_.samples, static_cast<double>(own) / count);
    CopyChosen(Samples(from), head_.row_bytes, Samples(into));
    SetCount(into, count);
  }

  __device__ void Move(int from, int to) {
    if (from == to) return;
    const int32_t count = head_.counts[from];
    CopyRows(Representative(from), head_.row_bytes, Representative(to), 1);
    CopyRows(Samples(from), head_.row_bytes, Samples(to), head_.samples);
    SetCount(to, count);
  }

  __device__ void InsertValue(int token, Draws* draws) {
    const uint8_t* const value = head_.token_values + token * head_.row_bytes;
    Share share;
    LoadShare<format>(value, head_.dim, share);
    const double squared = SquaredLength(share);
    if (!(squared > 0.0)) return;
    mu_ += squared;
    const int chosen = Choose(draws, head_.slots, squared / mu_);
    CopyChosen(head_.token_keys + token * head_.row_bytes, 0, head_.slot_keys);
    CopyChosen(value, 0, head_.slot_values);
    for (int i = threadIdx.x; i < chosen; i += kThreads) {
      head_.log_norms[head_.chosen[i]] = static_cast<float>(log(squared));
    }
    __syncthreads();
  }

  // Fills head_.chosen, in thread 0, and returns how many there are. One thread
  // draws, because the draws are a sequence: each says how many places are
  // skipped before the next.
  __device__ int Choose(Draws* draws, int trials, double probability) {
    __syncthreads();  // those before may still be read
    if (threadIdx.x == 0) {
      int count = 0;
      draws->Successes(trials, probability, [&](int64_t i) {
        head_.chosen[count++] = static_cast<int32_t>(i);
      });
      *chosen_count_ = count;
    }
    __syncthreads();
    return *chosen_count_;
  }

  // Copies rows chosen[i] of `from`, `stride` bytes apart, to the same rows of
  // `to`.
  __device__ void CopyChosen(const uint8_t* from, int64_t stride, uint8_t* to) {
    const int64_t bytes = *chosen_count_ * head_.row_bytes;
    for (int64_t i = threadIdx.x; i < bytes; i += kThreads) {
      const int64_t row = head_.chosen[i / head_.row_bytes];
      const int64_t byte = i % head_.row_bytes;
      to[row * head_.row_bytes + byte] = from[row * stride + byte];
    }
  }
  // Copies rows [0, count) in the same way.
  __device__ void CopyRows(const uint8_t* from, int64_t stride, uint8_t* to,
                           int64_t count) {
    for (int64_t i = threadIdx.x; i < count * head_.row_bytes; i += kThreads) {
      to[i] = from[i / head_.row_bytes * stride + i % head_.row_bytes];
    }
  }

  // Sets a count after all threads have read the old one. What was copied
  // before is then there for all.
  __device__ void SetCount(int cluster, int32_t count) {
    __syncthreads();
    if (threadIdx.x == 0) head_.counts[cluster] = count;
    __syncthreads();
  }

  __device__ void SetBiases() {
    const int64_t held = static_cast<int64_t>(held_) * head_.samples;
    const int64_t all = static_cast<int64_t>(head_.room) * head_.samples;
    for (int64_t i = threadIdx.x; i < all; i += kThreads) {
      head_.sample_bias[i] =
          i < held ? static_cast<float>(log(
                         static_cast<double>(head_.counts[i / head_.samples]) /
                         head_.samples))
                   : FloatOf(0xff800000u);
    }
    const double log_weight = log(mu_ / head_.slots);
    for (int i = threadIdx.x; i < head_.slots; i += kThreads) {
      head_.slot_bias[i] = static_cast<float>(log_weight - head_.log_norms[i]);
    }
    if (threadIdx.x == 0) {
      head_.totals[0] = squared_radius_;
      head_.totals[1] = mu_;
    }
  }

  const ClusterHead& head_;
  uint64_t* const least_of_warps_;  // shared
  int* const chosen_count_;         // shared
  double squared_radius_, mu_;
  int held_ = 0;  // clusters
};

}  // namespace subgen::cuda
