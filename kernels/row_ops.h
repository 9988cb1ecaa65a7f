// What caches ask of a device, for many KV heads at once. A backend does it at
// once; who gathers the work of several layers does it later, in the same
// order.
#pragma once

#include <functional>

#include "kernels/algorithm1.h"
#include "kernels/k_center.h"
#include "kernels/keep_best.h"
#include "kernels/memory/row_format.h"
#include "kernels/memory/view.h"

namespace subgen {

// squared_j = |point - row_j|^2, or of their directions: both scaled to length
// 1 (what is zero stays zero), so that squared_j = 2 - 2 cos(point, row_j).
struct DistanceTask {
  Vector<const float> point;  // [dim]
  Rows rows;                  // [rows, dim]
  Vector<float> squared;      // [rows]
  bool directions = false;
};

// Rows to another place, in another format: [from.count] packed rows.
struct RowCopy {
  Rows from;
  RowFormat format = RowFormat::kF32;
  std::byte* to = nullptr;

  int64_t to_bytes() const { return from.count * RowBytes(format, from.dim); }
};

class RowOps {
 public:
  virtual ~RowOps() = default;

  // As ConvertRow. None writes what another one reads or writes.
  virtual void ConvertRows(Vector<const RowCopy> copies) = 0;
  virtual void Distances(Vector<const DistanceTask> tasks) = 0;
  // The rows with the largest scores stay (keep_best.h).
  virtual void KeepBest(Vector<const KeepBestTask> tasks) = 0;
  // SubGen's k-center (k_center.h) and its Algorithm 1 (algorithm1.h). One task
  // for each head.
  virtual void InsertCenters(Vector<const CenterTask> tasks) = 0;
  virtual void InsertClusters(Vector<const ClusterTask> tasks) = 0;

  // Calls `then` when all that was asked for so far is done: by default at
  // once, as for who does each operation when it is asked for.
  virtual void After(std::function<void()> then) { then(); }
};

}  // namespace subgen
