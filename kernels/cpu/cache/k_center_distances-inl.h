// Computes distances between the centers of a head. The file is compiled once
// per target.
#if defined(SUBGEN_KERNELS_CPU_CENTER_DISTANCES_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef SUBGEN_KERNELS_CPU_CENTER_DISTANCES_INL_H_
#undef SUBGEN_KERNELS_CPU_CENTER_DISTANCES_INL_H_
#else
#define SUBGEN_KERNELS_CPU_CENTER_DISTANCES_INL_H_
#endif

#include <algorithm>
#include <numeric>
#include <vector>

#include "kernels/cpu/cache/bf16_distances.h"
#include "kernels/cpu/cache/distances-inl.h"
#include "kernels/cpu/simd/numbers-inl.h"
#include "kernels/k_center.h"

HWY_BEFORE_NAMESPACE();
namespace subgen::cpu::HWY_NAMESPACE {

// Returns whether rows take dot products of bf16, which are for machines whose
// best target this is.
HWY_INLINE bool TakesBF16(const Rows& rows) {
  return HWY_TARGET == HWY_AVX3 && HasBF16Distances(rows.format, rows.dim);
}

// Computes squared distances from rows to rows, of any format.
HWY_INLINE void MeasureRows(const RowDistances& of, float* scratch) {
  const int64_t dim = of.rows.dim, width = PaddedWidth(dim);
  const Range all = {0, of.rows.count};
  if (all.count == 0) return;
  if (TakesBF16(of.rows)) return BF16DistanceRows(of, all, scratch);
  const Matrix<float> points(scratch, kMostPoints, dim, width);
  for (int64_t i = 0; i < of.points.count; i += kMostPoints) {
    DistanceTask tasks[kMostPoints];
    const int64_t count = std::min<int64_t>(kMostPoints, of.points.count - i);
    for (int64_t p = 0; p < count; ++p) {
      DecodeRow(of.points.format, of.points.row(i + p), points.row(p));
      tasks[p] = {points.row(p), of.rows,
                  of.squared.row(i + p).first(all.count), of.directions};
    }
    DistanceRows({tasks, static_cast<size_t>(count)}, all,
                 scratch + kMostPoints * width);
  }
}
// Returns the floats of scratch that MeasureRows needs for so many points.
HWY_INLINE int64_t MeasureScratch(int64_t points, int64_t dim) {
  const Rows rows = {RowFormat::kBF16, nullptr, points, dim};
  return std::max(BF16DistanceScratch({rows, rows, false, {}}),
                  kMostPoints * PaddedWidth(dim) + DistanceScratch(dim));
}

// Points to distances by the parts of a metric; a part that the metric does not
// have is not read.
struct MetricRow {
  const float *keys, *directions, *values;
};

// Returns the metric's distance; factor: of the values.
template <class DV>
HWY_INLINE hn::Vec<DV> SumOfParts(DV d, const CenterMetric& metric,
                                  float factor, const MetricRow& parts,
                                  int64_t i) {
  auto sum = hn::Zero(d);
  if (metric.keys) sum = hn::LoadU(d, parts.keys + i);
  if (metric.directions) sum = hn::LoadU(d, parts.directions + i);
  if (!metric.values) return sum;
  return hn::MulAdd(hn::Set(d, factor), hn::LoadU(d, parts.values + i), sum);
}

// Measures some rows against all, kMostTogether at a time, because then each
// row is read and transposed once for all of them.
class CenterDistances {
 public:
  static constexpr int64_t kMostTogether = 16;

  // stride: a row of distances has so much room.
  CenterDistances(const CenterTask& task, int64_t stride, float* scratch)
      : metric_(task.metric), arrays_(task.centers), stride_(stride) {
    for (float*& part : parts_) {
      part = scratch;
      scratch += kMostTogether * stride;
    }
    scratch_ = scratch;
  }
  static int64_t Floats(const CenterTask& task, int64_t stride) {
    return 2 * kMostTogether * stride +
           MeasureScratch(kMostTogether, task.centers.dim);
  }

  // Sets out[i][j] to the distance of row first + i, i < count, from row j of
  // `rows`.
  void Measure(int64_t first, int64_t count, int64_t rows, float factor,
               float* out) {
    if (metric_.keys || metric_.directions) {
      MeasurePart(arrays_.KeyRows(rows), {first, count}, metric_.directions,
                  parts_[0]);
    }
    if (metric_.values) {
      MeasurePart(arrays_.ValueRows(rows), {first, count}, false, parts_[1]);
    }
    for (int64_t i = 0; i < count; ++i, out += stride_) {
      const float* const keys = parts_[0] + i * stride_;
      const MetricRow parts = {keys, keys, parts_[1] + i * stride_};
      ForNumbers(rows, [&](auto d, int64_t j) HWY_ATTR {
        hn::StoreU(SumOfParts(d, metric_, factor, parts, j), d, out + j);
      });
    }
  }

 private:
  void MeasurePart(const Rows& rows, Range points, bool directions,
                   float* out) {
    const Rows some = {rows.format, rows.row(points.first), points.count,
                       rows.dim};
    MeasureRows(
        {some, rows, directions, {out, points.count, rows.count, stride_}},
        scratch_);
  }

  const CenterMetric& metric_;
  const CenterArrays& arrays_;
  int64_t stride_;
  float* parts_[2];  // [kMostTogether, stride]
  float* scratch_;
};

// Keeps the distances between all rows of a head while some of them go.
class KeptDistances {
 public:
  // Returns whether keeping them pays: where most rows go, those that stay are
  // linked again and again. They take at most 8 MB.
  static bool Pays(const CenterTask& task) {
    // 1448^2 floats are 8 MB.
    constexpr int64_t kMostRows = 1448;
    const int64_t going = task.rows - task.centers.limit;
    return task.rows <= kMostRows && 2 * going > task.rows;
  }
  static int64_t Floats(const CenterTask& task, int64_t stride) {
    return Pays(task) ? task.rows * stride : 0;
  }

  KeptDistances() = default;
  KeptDistances(float* memory, int64_t stride)
      : squared_(memory), stride_(stride) {}

  void Measure(int64_t rows, float factor, CenterDistances* distances) {
    place_.resize(rows);
    std::iota(place_.begin(), place_.end(), 0);
    constexpr int64_t kMost = CenterDistances::kMostTogether;
    for (int64_t i = 0; i < rows; i += kMost) {
      distances->Measure(i, std::min(kMost, rows - i), rows, factor,
                         squared_ + i * stride_);
    }
  }
  bool empty() const { return place_.empty(); }
  void Clear() { place_.clear(); }
  void Move(int64_t from, int64_t to) {
    if (!empty()) place_[to] = place_[from];
  }
  // Reads the distances of a row from each of the first `rows`.
  void Get(int64_t row, int64_t rows, float* out) const {
    const float* const squared = squared_ + place_[row] * stride_;
    // Distances stay where they were measured and only the numbers of rows
    // change, because moving a column would touch every row.
    for (int64_t i = 0; i < rows; ++i) out[i] = squared[place_[i]];
  }

 private:
  float* squared_ = nullptr;  // [rows before any went, stride]
  int64_t stride_ = 0;
  std::vector<int32_t> place_;  // of each row, among those
};

}  // namespace subgen::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
