// One block of the device makes the choices of SubGen's centers for a head: the
// links to the nearest neighbors, and the row that goes. It does what
// reference/k_center.cc does with NeighborTable.
#pragma once

#include "kernels/cuda/cache/k_center_totals.h"
#include "kernels/cuda/cache/row_shares.h"

namespace subgen::cuda {

inline constexpr int kCenterThreads = 256;

// A block works on one head. All threads call all functions. Members that are
// no arrays are the same in each thread, so that all threads take the same
// branches and meet at the barriers.
template <RowFormat format>
class Centers {
  static constexpr int kThreads = kCenterThreads;
  static constexpr int kGroups = kThreads / kLanesOfRow;  // rows at once

 public:
  __device__ Centers(const CenterHead& head, uint64_t* least_of_warps)
      : head_(head),
        metric_(head.metric),
        weighted_(head.metric.distinctiveness_exponent != 0),
        least_of_warps_(least_of_warps),
        totals_(head),
        rows_(head.rows) {}

  __device__ void Run() {
    if (rows_ > head_.limit) Shrink();
    for (int i = 0; i < head_.tokens; ++i) {
      totals_.Enter(i);
      Compare(i);
      if (rows_ == head_.limit) {
        Exchange(i);
      } else {
        SetRow(rows_++, i);
      }
    }
    if (threadIdx.x < kWarp) totals_.Store();
  }

 private:
  __device__ const uint8_t* Key(int row) const {
    return head_.keys + row * head_.row_bytes;
  }
  __device__ const uint8_t* Value(int row) const {
    return head_.values + row * head_.row_bytes;
  }
  static __device__ float Infinity() { return FloatOf(0x7f800000u); }

  // Is called by one thread.
  __device__ void AddCount(int i, int32_t count) {
    head_.counts[i] += count;
    head_.bias[i] = static_cast<float>(
        metric_.count_exponent * log(static_cast<double>(head_.counts[i])));
  }

  __device__ void CopyRow(const uint8_t* key, const uint8_t* value, int to) {
    for (int i = threadIdx.x; i < head_.row_bytes; i += kThreads) {
      head_.keys[to * head_.row_bytes + i] = key[i];
      head_.values[to * head_.row_bytes + i] = value[i];
    }
  }

  // Puts a token into row i. Tokens that follow are as far from the row as from
  // the token, so their distances are copied, not measured again.
  __device__ void SetRow(int i, int token) {
    CopyRow(head_.token_keys + token * head_.row_bytes,
            head_.token_values + token * head_.row_bytes, i);
    if (threadIdx.x == 0 && head_.counts != nullptr) {
      head_.counts[i] = 1;
      head_.bias[i] = 0.0f;
    }
    for (const CenterDistances* part :
         {&head_.of_keys, &head_.of_directions, &head_.of_values}) {
      if (part->centers == nullptr) continue;
      for (int later = token + 1 + threadIdx.x; later < head_.tokens;
           later += kThreads) {
        part->centers[static_cast<int64_t>(later) * head_.limit + i] =
            part->tokens[later * head_.tokens + token];
      }
    }
    __syncthreads();
  }

  __device__ void Exchange(int token) {
    // All threads read the heir before Remove renames rows, and the count
    // before SetRow sets it: hence a barrier after each.
    const int last = rows_, drop = Choose(), heir = head_.near_rows[drop];
    __syncthreads();
    Remove(drop);
    const bool counted = head_.counts != nullptr;
    const int32_t count = !counted ? 0 : drop == last ? 1 : head_.counts[drop];
    __syncthreads();
    if (drop != last) SetRow(drop, token);
    if (counted && heir >= 0 && threadIdx.x == 0) {
      AddCount(heir == last ? drop : heir, count);
    }
    __syncthreads();
  }

  // Drops the least center while there are more than the limit.
  __device__ void Shrink() {
    totals_.SetFactor();
    totals_.SetInverseLength();
    while (rows_ > head_.limit) {
      size_ = rows_;
      for (int i = threadIdx.x; i < rows_; i += kThreads) {
        SetScore(i, head_.near_squared[i]);
      }
      __syncthreads();
      const int drop = Choose(), heir = head_.near_rows[drop];
      __syncthreads();
      Remove(drop);
      const int last = --rows_;
      if (threadIdx.x == 0 && head_.counts != nullptr) {
        if (heir >= 0) AddCount(heir, head_.counts[drop]);
        head_.counts[drop] = head_.counts[last];
        head_.bias[drop] = head_.bias[last];
      }
      if (drop != last) CopyRow(Key(last), Value(last), drop);
      __syncthreads();
    }
  }

  __device__ void SetScore(int i, float nearest) {
    // Without weights the distance is the score, and the weights have no use.
    if (!weighted_) {
      head_.scores[i] = nearest;
      return;
    }
    float away = 1.0f - totals_.inverse_length() * head_.alignments[i];
    away = away > 0.0f ? away : 0.0f;
    const float square = away * away;
    float weight = square;
    for (int n = 1; n < metric_.distinctiveness_exponent; ++n) weight *= square;
    head_.weights[i] = weight;
    head_.scores[i] = weight * nearest;
  }

  __device__ float Sum(float keys, float directions, float values) const {
    float sum = metric_.keys ? keys : metric_.directions ? directions : 0.0f;
    return metric_.values ? fmaf(totals_.factor(), values, sum) : sum;
  }

  // Adds the token to the links, behind the rows, and weighs all rows in the
  // same pass.
  __device__ void Compare(int token) {
    // The distances were computed by the kernel before; SetRow keeps them up to
    // date for tokens that come later.
    const int64_t first = static_cast<int64_t>(token) * head_.limit;
    const auto at = [first](const CenterDistances& part, int i) {
      return part.centers == nullptr ? 0.0f : part.centers[first + i];
    };
    size_ = rows_ + 1;
    totals_.SetInverseLength();
    const float alignment =
        weighted_
            ? totals_.Alignment(head_.token_keys + token * head_.row_bytes)
            : 0.0f;
    for (int i = threadIdx.x; i < rows_; i += kThreads) {
      const float directions = at(head_.of_directions, i);
      const float squared =
          Sum(at(head_.of_keys, i), directions, at(head_.of_values, i));
      head_.squared[i] = squared;
      if (weighted_) head_.alignments[i] += 1.0f - 0.5f * directions;
      TakeNearer(i, squared);
      SetScore(i, head_.near_squared[i]);
    }
    if (threadIdx.x == 0) {
      head_.squared[rows_] = Infinity();
      if (weighted_) head_.alignments[rows_] = alignment;
    }
    __syncthreads();
    SetNearest(rows_, head_.squared);
  }

  // Makes the token a row's neighbor if it is nearer than a bound: then it is
  // nearer than all that the bound stands for.
  __device__ void TakeNearer(int i, float squared) {
    if (squared < head_.near_squared[i]) {
      head_.second_rows[i] = head_.near_rows[i];
      head_.second_squared[i] = head_.near_squared[i];
      head_.near_rows[i] = rows_;
      head_.near_squared[i] = squared;
    } else if (squared < head_.second_squared[i]) {
      head_.second_rows[i] = rows_;
      head_.second_squared[i] = squared;
    }
  }

  // Returns the first of the least numbers, none of which may be negative,
  // leaving out two rows; NaN is above all. Returns size_ if there is none
  // left. Number and place are one integer, so that one minimum over the block
  // finds both, and the first of equal ones whichever thread has it.
  __device__ int LeastOf(const float* numbers, int but, int nor) {
    uint64_t least = ~uint64_t{0} << 32 | size_;
    for (int i = threadIdx.x; i < size_; i += kThreads) {
      if (i == but || i == nor) continue;
      const uint64_t own = LeastKey(numbers[i], i);
      least = own < least ? own : least;
    }
    least = BlockLeast<kThreads>(least, least_of_warps_);
    return static_cast<int>(least & 0xffffffffu);
  }

  // The row is -1, and the distance infinite, where no distance is a finite
  // number.
  struct Near {
    int row = -1;
    float squared = Infinity();
  };
  __device__ Near Nearest(const float* squared, int but, int nor) {
    const int row = LeastOf(squared, but, nor);
    Near near;
    if (row < size_ && squared[row] <= Neighbor::kMost) {
      near.row = row;
      near.squared = squared[row];
    }
    return near;
  }

  __device__ void SetNearest(int row, const float* squared) {
    const Near nearest = Nearest(squared, row, -1);
    const Near second = Nearest(squared, row, nearest.row);
    if (threadIdx.x == 0) {
      head_.near_rows[row] = nearest.row;
      head_.near_squared[row] = nearest.squared;
      head_.second_rows[row] = second.row;
      head_.second_squared[row] = second.squared;
      SetScore(row, nearest.squared);
    }
    __syncthreads();
  }

  // Returns the distances from a row to all others and the token.
  __device__ const float* Others(int row) {
    if (row == rows_) return head_.squared;
    __syncthreads();  // others may still be read
    const bool of_keys = metric_.keys || metric_.directions;
    // The distance to the token is known from its side.
    const float of_token = size_ > rows_ ? head_.squared[row] : 0.0f;
    Share key, value, other;
    LoadShare<format>(Key(row), head_.dim, key);
    LoadShare<format>(Value(row), head_.dim, value);
    const double scale = metric_.directions ? InverseLength(key) : 1.0;
    for (int at = threadIdx.x / kWarp * kRowsAtOnce; at < rows_;
         at += kGroups) {
      const int j = at + RowOfLane(), inside = j < rows_ ? j : 0;
      float keys = 0.0f, values = 0.0f;
      if (of_keys) {
        LoadShare<format>(Key(inside), head_.dim, other);
        keys = metric_.directions
                   ? OfDirections(key, scale, other, InverseLength(other))
                   : OfPoints(key, other);
        keys = GroupSum(keys, kLanesOfRow);
      }
      if (metric_.values) {
        LoadShare<format>(Value(inside), head_.dim, other);
        values = GroupSum(OfPoints(value, other), kLanesOfRow);
      }
      if (j < rows_ && PartOfLane() == 0) {
        head_.others[j] = Sum(keys, keys, values);
      }
    }
    if (threadIdx.x == 0 && size_ > rows_) head_.others[rows_] = of_token;
    __syncthreads();
    return head_.others;
  }

  // Returns the row that goes. A bound is never above the true distance: if the
  // least score is a known one, no bound can hide a lesser one; if it is a
  // bound, it is measured.
  __device__ int Choose() {
    int least = LeastOf(head_.scores, -1, -1);
    while (head_.near_rows[least] < 0 &&
           head_.near_squared[least] <= Neighbor::kMost) {
      __syncthreads();
      SetNearest(least, Others(least));
      least = LeastOf(head_.scores, -1, -1);
    }
    const int partner = head_.near_rows[least];
    if (weighted_ || partner < 0) return least;
    // Of the closest pair, the row that is nearer to the rest goes. The two are
    // compared in the order of their numbers, as in every backend.
    const int low = least < partner ? least : partner;
    const int high = least < partner ? partner : least;
    const float rest_of_low = Nearest(Others(low), low, high).squared;
    const float rest_of_high = Nearest(Others(high), high, low).squared;
    return rest_of_low < rest_of_high ? low : high;
  }

  // Removes a row; the last row takes its place. Where its neighbor was the one
  // that goes, a row promotes its second. Nothing is measured.
  __device__ void Remove(int row) {
    const int last = --size_;
    const auto renamed = [row, last](int i) {
      return i == row ? -1 : i == last ? row : i;
    };
    for (int i = threadIdx.x; i <= last; i += kThreads) {
      const int second = renamed(head_.second_rows[i]);
      if (head_.near_rows[i] == row) {
        head_.near_rows[i] = second;
        head_.near_squared[i] = head_.second_squared[i];
        head_.second_rows[i] = -1;
      } else {
        head_.near_rows[i] = renamed(head_.near_rows[i]);
        head_.second_rows[i] = second;
      }
    }
    __syncthreads();
    if (threadIdx.x == 0) {
      head_.near_rows[row] = head_.near_rows[last];
      head_.near_squared[row] = head_.near_squared[last];
      head_.second_rows[row] = head_.second_rows[last];
      head_.second_squared[row] = head_.second_squared[last];
      if (weighted_) head_.alignments[row] = head_.alignments[last];
    }
    __syncthreads();
  }

  const CenterHead& head_;
  const CenterMetric metric_;
  const bool weighted_;
  uint64_t* const least_of_warps_;  // shared
  CenterTotals<format> totals_;
  int rows_, size_ = 0;  // size_: of the links: the rows, and a token at hand
};

}  // namespace subgen::cuda
