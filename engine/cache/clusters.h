// The partition estimate of SubGen's Algorithm 1 (arXiv 2402.06082): online
// clusters of keys, each with a representative, t uniform samples and a count.
// At most `limit` clusters: where one more would open, the radius doubles and
// representatives closer than it merge (Charikar et al. 1997).
#pragma once

#include <vector>

#include "engine/cache/draws.h"
#include "engine/cache/row_store.h"
#include "engine/cache/sketch.h"

namespace subgen {

struct ClusterOptions {
  int64_t limit = 1;    // clusters
  int64_t samples = 1;  // t
  double radius = 0.0;  // delta, to start with

  // Bytes of a cluster, everything included.
  static int64_t Bytes(RowLayout layout, int64_t samples);
};

class Clusters {
 public:
  Clusters(const SketchPlace& place, const ClusterOptions& options);

  int64_t size() const { return counts_.size(); }
  Rows representatives() const { return representatives_.View().keys; }
  int64_t rows() const { return samples_.size(); }
  int64_t bytes() const;

  // Whether a key at this squared distance from a representative belongs to
  // its cluster; it then joins the nearest one, else it opens one.
  bool Covers(float squared) const { return squared <= squared_radius_; }
  void Join(int64_t cluster, EncodedRow key, Draws* draws);
  void Open(EncodedRow key);
  bool full() const { return size() == options_.limit; }
  // Doubles the radius, more if that is what makes two clusters merge. Returns
  // which cluster each one is now: [old size].
  std::vector<int64_t> Double(Draws* draws);

  // Samples, weighted to estimate the partition; no values.
  WeightedRows View() const;

  void Save(ByteWriter* out) const;
  // `entered`: the keys taken in so far.
  absl::Status Load(ByteReader* in, int64_t entered);

 private:
  void SetBias(int64_t cluster);
  // Squared distances of a representative to the first `count`.
  void Distances(int64_t row, int64_t count, Vector<float> squared) const;
  void MergeInto(int64_t into, int64_t from, Draws* draws);
  void Move(int64_t from, int64_t to);

  SketchPlace place_;
  ClusterOptions options_;
  double squared_radius_;
  RowStore representatives_;  // [size], keys
  RowStore samples_;          // [size * t], keys
  Column<int32_t> counts_;    // [size], n
  Column<float> bias_;        // [size * t], log(n / t)
};

}  // namespace subgen
