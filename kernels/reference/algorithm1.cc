#include "kernels/reference/algorithm1.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "kernels/base/check.h"
#include "kernels/base/draws.h"
#include "kernels/neighbors.h"

namespace subgen::reference {
namespace {

int64_t Held(const ClusterArrays& arrays) {
  return std::find(arrays.counts.begin(), arrays.counts.end(), 0) -
         arrays.counts.begin();
}

class Clusters {
 public:
  Clusters(const ClusterTask& task, DistancesOfPoint distances_of)
      : task_(task),
        arrays_(task.arrays),
        distances_of_(distances_of),
        row_bytes_(RowBytes(arrays_.format, arrays_.dim)),
        held_(Held(arrays_)),
        squared_(arrays_.room()) {}

  void Insert(int64_t token) {
    // The draws belong to the position, and the key draws before the value.
    // Every backend must keep this order, or its samples would be others.
    Draws draws(task_.place, task_.positions[token]);
    InsertKey(task_.keys.row(token), &draws);
    InsertValue(token, &draws);
  }

 private:
  double& squared_radius() { return arrays_.totals[0]; }
  double& mu() { return arrays_.totals[1]; }
  std::byte* Representative(int64_t i) const {
    return arrays_.representatives + i * row_bytes_;
  }
  std::byte* Sample(int64_t cluster, int64_t i) const {
    return arrays_.sample_keys + (cluster * arrays_.samples + i) * row_bytes_;
  }
  void Copy(const std::byte* from, std::byte* to) const {
    std::memcpy(to, from, row_bytes_);
  }
  Vector<const float> Decode(const std::byte* row) {
    point_.resize(arrays_.dim);
    DecodeRow(arrays_.format, row, point_);
    return point_;
  }

  // Returns the nearest of the first `count` representatives, the first of
  // equal ones, with NaN distances last. It returns -1 if the nearest is beyond
  // the radius.
  int64_t Covering(const std::byte* key, int64_t count) {
    if (count == 0) return -1;
    const Vector<float> squared(squared_.data(), count);
    distances_of_(Decode(key),
                  {arrays_.format, arrays_.representatives, count, arrays_.dim},
                  squared);
    const int64_t nearest = LeastOf(squared);
    return squared[nearest] <= squared_radius() ? nearest : -1;
  }

  void InsertKey(const std::byte* key, Draws* draws);
  void InsertValue(int64_t token, Draws* draws);
  void Join(int64_t cluster, const std::byte* key, Draws* draws);
  void Open(const std::byte* key);
  // Doubles the radius, and merges clusters.
  void Double(Draws* draws);
  float SmallestDistance();  // infinite where there is none
  void MergeInto(int64_t into, int64_t from, Draws* draws);
  void Move(int64_t from, int64_t to);

  const ClusterTask& task_;
  const ClusterArrays& arrays_;
  const DistancesOfPoint distances_of_;
  const int64_t row_bytes_;
  int64_t held_;
  std::vector<float> squared_, point_;
};

void Clusters::InsertKey(const std::byte* key, Draws* draws) {
  int64_t cluster = Covering(key, held_);
  if (cluster < 0 && held_ == task_.limit) {
    Double(draws);
    cluster = Covering(key, held_);
    // Nothing merged, as keys that are not numbers have no distances.
    if (cluster < 0 && held_ == task_.limit) cluster = 0;
  }
  if (cluster >= 0) return Join(cluster, key, draws);
  Open(key);
}

void Clusters::Join(int64_t cluster, const std::byte* key, Draws* draws) {
  // This is reservoir sampling: the newest of n tokens replaces each sample
  // with probability 1 / n, so that each sample stays uniform over the cluster.
  const double probability = 1.0 / ++arrays_.counts[cluster];
  draws->Successes(arrays_.samples, probability,
                   [&](int64_t i) { Copy(key, Sample(cluster, i)); });
  SetSampleBias(arrays_, cluster);
}

void Clusters::Open(const std::byte* key) {
  const int64_t cluster = held_++;
  Copy(key, Representative(cluster));
  for (int64_t i = 0; i < arrays_.samples; ++i) Copy(key, Sample(cluster, i));
  arrays_.counts[cluster] = 1;
  SetSampleBias(arrays_, cluster);
}

float Clusters::SmallestDistance() {
  float smallest = std::numeric_limits<float>::infinity();
  // Each pair is seen once: representative i against those before it.
  for (int64_t i = 1; i < held_; ++i) {
    const Vector<float> squared(squared_.data(), i);
    distances_of_(Decode(Representative(i)),
                  {arrays_.format, arrays_.representatives, i, arrays_.dim},
                  squared);
    const float least = squared[LeastOf(squared)];
    smallest = least < smallest ? least : smallest;
  }
  return smallest;
}

void Clusters::Double(Draws* draws) {
  const double smallest = SmallestDistance();
  // The radius doubles, so its square is four times as large. If even the two
  // closest representatives are further apart, nothing would merge, so the
  // radius grows to their distance. This is also what lets a radius of 0 grow.
  squared_radius() *= 4.0;
  if (smallest <= Neighbor::kMost) {
    squared_radius() = std::max(squared_radius(), smallest);
  }
  const int64_t before = held_;
  held_ = std::min<int64_t>(before, 1);
  for (int64_t i = 1; i < before; ++i) {
    // Representatives that stay are packed to the front while those behind them
    // are still looked at; held_ is never beyond i, so no row is overwritten
    // before it is read.
    const int64_t into = Covering(Representative(i), held_);
    if (into >= 0) {
      MergeInto(into, i, draws);
    } else {
      Move(i, held_++);
    }
  }
  for (int64_t i = held_; i < before; ++i) {
    arrays_.counts[i] = 0;
    SetSampleBias(arrays_, i);
  }
}

void Clusters::MergeInto(int64_t into, int64_t from, Draws* draws) {
  arrays_.counts[into] += arrays_.counts[from];
  // Each sample of the merged cluster is one of the other's with the
  // probability that a uniform token is one of the other's.
  const double share =
      static_cast<double>(arrays_.counts[from]) / arrays_.counts[into];
  draws->Successes(arrays_.samples, share,
                   [&](int64_t i) { Copy(Sample(from, i), Sample(into, i)); });
  SetSampleBias(arrays_, into);
}

void Clusters::Move(int64_t from, int64_t to) {
  if (from == to) return;
  Copy(Representative(from), Representative(to));
  for (int64_t i = 0; i < arrays_.samples; ++i) {
    Copy(Sample(from, i), Sample(to, i));
  }
  arrays_.counts[to] = arrays_.counts[from];
  SetSampleBias(arrays_, to);
}

void Clusters::InsertValue(int64_t token, Draws* draws) {
  double squared = 0.0;
  for (const float x : Decode(task_.values.row(token))) {
    squared += static_cast<double>(x) * x;
  }
  // This also turns away a NaN, which would spoil mu for good.
  if (!(squared > 0.0)) return;
  mu() += squared;
  // A slot takes the token with probability |v|^2 / mu, mu including this one:
  // each slot then holds each token with probability |v|^2 / mu at the end.
  draws->Successes(arrays_.slots(), squared / mu(), [&](int64_t i) {
    Copy(task_.keys.row(token), arrays_.slot_keys + i * row_bytes_);
    Copy(task_.values.row(token), arrays_.slot_values + i * row_bytes_);
    arrays_.log_norms[i] = static_cast<float>(std::log(squared));
  });
}

}  // namespace

void InsertClusters(const ClusterTask& task, DistancesOfPoint distances_of) {
  const ClusterArrays& arrays = task.arrays;
  SUBGEN_CHECK(task.keys.format == arrays.format &&
               task.values.format == arrays.format &&
               task.values.count == task.tokens() &&
               static_cast<int64_t>(task.positions.size()) == task.tokens());
  for (int64_t i = Held(arrays); i < arrays.room(); ++i) {
    SetSampleBias(arrays, i);
  }
  Clusters clusters(task, distances_of);
  for (int64_t i = 0; i < task.tokens(); ++i) clusters.Insert(i);
  SetSlotBiases(arrays);
}

}  // namespace subgen::reference
