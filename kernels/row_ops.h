// Caches ask a device for these operations, for many KV heads at once. A
// backend does each when it is asked. A caller that gathers the work of several
// layers asks later, in the same order.
#pragma once

#include <functional>

#include "kernels/algorithm1.h"
#include "kernels/k_center.h"
#include "kernels/keep_best.h"
#include "kernels/memory/row_format.h"
#include "kernels/memory/view.h"

namespace subgen {

// Sets squared_j = |point - row_j|^2, or the same for their directions: then
// both are first scaled to length 1 (a zero row stays zero), so that squared_j
// = 2 - 2 cos(point, row_j).
struct DistanceTask {
  Vector<const float> point;  // [dim]
  Rows rows;                  // [rows, dim]
  Vector<float> squared;      // [rows]
  bool directions = false;
};

// Rows are copied to another place, in another format: [from.count] packed
// rows.
struct RowCopy {
  Rows from;
  RowFormat format = RowFormat::kF32;
  std::byte* to = nullptr;

  int64_t to_bytes() const { return from.count * RowBytes(format, from.dim); }
};

class RowOps {
 public:
  virtual ~RowOps() = default;

  // Does ConvertRow for each row. No copy may write what another one reads or
  // writes.
  virtual void ConvertRows(Vector<const RowCopy> copies) = 0;
  // Fills the squared distances of each task.
  virtual void Distances(Vector<const DistanceTask> tasks) = 0;
  // Inserts tokens; the rows with the largest scores stay (keep_best.h).
  virtual void KeepBest(Vector<const KeepBestTask> tasks) = 0;
  // Inserts tokens by SubGen's k-center (k_center.h) or by its Algorithm 1
  // (algorithm1.h). There is one task for each head.
  virtual void InsertCenters(Vector<const CenterTask> tasks) = 0;
  virtual void InsertClusters(Vector<const ClusterTask> tasks) = 0;

  // Calls `then` when all that was asked for so far is done. The default calls
  // it at once, which is right for a device that does each operation when it is
  // asked for.
  virtual void After(std::function<void()> then) { then(); }
};

}  // namespace subgen
