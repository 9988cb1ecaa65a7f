// A warp keeps the sums over all tokens of a head (CenterArrays::totals); its
// lanes hold a row. Every warp of a block holds the same sums, so that no warp
// waits for another one's.
#pragma once

#include "kernels/cuda/cache/k_center.h"
#include "kernels/cuda/cache/row_shares.h"

namespace subgen::cuda {

template <RowFormat format>
class CenterTotals {
  static_assert(kWarp * kRun == kMostHeadDim);

 public:
  __device__ explicit CenterTotals(const CenterHead& head)
      : head_(head),
        weighted_(head.metric.distinctiveness_exponent != 0),
        entered_(head.entered),
        squares_(head.totals[0]) {
    for (int i = 0; i < kRun; ++i) {
      const int at = Number(i);
      mean_[i] = weighted_ && at < head_.dim ? head_.totals[1 + at] : 0.0;
    }
  }

  // Stores the sums; called by one warp when no other reads them any more.
  __device__ void Store() const {
    if (threadIdx.x % kWarp == 0) head_.totals[0] = squares_;
    for (int i = 0; weighted_ && i < kRun; ++i) {
      if (Number(i) < head_.dim) head_.totals[1 + Number(i)] = mean_[i];
    }
  }

  // Takes a token in.
  __device__ void Enter(int token) {
    ++entered_;
    float numbers[kRun];
    Load(head_.token_values + token * head_.row_bytes, numbers);
    double squares = 0.0;
    for (const float x : numbers) squares += static_cast<double>(x) * x;
    squares = GroupSum(squares);
    if (isfinite(squares)) squares_ += squares;
    SetFactor();
    if (!weighted_) return;
    Load(head_.token_keys + token * head_.row_bytes, numbers);
    const double scale = InverseOf(numbers);
    for (int i = 0; i < kRun && scale != 0.0; ++i) {
      mean_[i] += scale * numbers[i];
    }
  }

  // Returns the factor of values in a distance.
  __device__ float factor() const { return factor_; }
  __device__ void SetFactor() {
    const double mean_square = squares_ / static_cast<double>(entered_);
    const double inverse = mean_square > 0.0 ? 1.0 / mean_square : 0.0;
    factor_ = head_.metric.balanced ? static_cast<float>(inverse) : 1.0f;
  }

  // Returns 1 / length of the sum of unit keys.
  __device__ float inverse_length() const { return inverse_length_; }
  __device__ void SetInverseLength() {
    double squares = 0.0;
    for (const double x : mean_) squares += x * x;
    const double length = sqrt(GroupSum(squares));
    inverse_length_ = static_cast<float>(length > 0.0 ? 1.0 / length : 0.0);
  }

  // Loads this thread's numbers of a row; they are zero beyond its end.
  __device__ void Load(const uint8_t* row, float (&numbers)[kRun]) const {
    for (float& x : numbers) x = 0.0f;
    if (Number(0) < head_.dim) {
      LoadRow8<format>(row, head_.dim, Number(0), numbers);
    }
  }
  // Returns 1 / length; 0 if the key has no direction.
  __device__ double InverseOf(const float (&key)[kRun]) const {
    double squares = 0.0;
    for (const float x : key) squares += static_cast<double>(x) * x;
    squares = GroupSum(squares);
    return squares > 0.0 && isfinite(squares) ? 1.0 / sqrt(squares) : 0.0;
  }
  // Returns unit key . sum of unit keys.
  __device__ float Alignment(const uint8_t* row) const {
    float key[kRun];
    Load(row, key);
    const double scale = InverseOf(key);
    double dot = 0.0;
    for (int i = 0; i < kRun; ++i) dot += mean_[i] * key[i];
    dot = GroupSum(dot);
    return scale == 0.0 ? 0.0f : static_cast<float>(scale * dot);
  }

 private:
  // Returns which number of a row this thread has, as one of a warp.
  static __device__ int Number(int i) { return threadIdx.x % kWarp * kRun + i; }

  const CenterHead& head_;
  const bool weighted_;
  int64_t entered_;
  double squares_;     // sum of |v|^2
  double mean_[kRun];  // of the sum of unit keys, this thread's part
  float factor_ = 1.0f;
  float inverse_length_ = 0.0f;
};

}  // namespace subgen::cuda
