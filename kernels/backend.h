// The arithmetic of one device. `reference` is the specification in plain
// loops with double sums; every other backend equals it within a bound that its
// tests derive. Knows no model and no rank. Arguments are checked for shape, a
// mismatch is a bug (Fatal).
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "kernels/heads.h"
#include "kernels/memory/mirror.h"
#include "kernels/memory/view.h"
#include "kernels/quant/block_format.h"
#include "kernels/rotary.h"
#include "kernels/row_ops.h"
#include "kernels/softmax_partials.h"
#include "kernels/top_numbers.h"
#include "kernels/weighted_rows.h"

namespace subgen {

namespace cuda {
class Staging;
}
class HadamardTransform;

// Queries of one KV head over one set of rows. The result is merged into
// `out`, so tasks over several sets of the same queries follow one another in
// one list.
struct AttentionTask {
  Matrix<const float> queries;  // [tokens * group, head_dim], scaled, turned
  WeightedRows rows;
  // Causal: row j is seen by the queries of tokens >= row_token[j], where query
  // i belongs to token i / group. Empty: every query sees every row.
  Vector<const int> row_token;  // [rows], ascending
  int group = 1;                // query heads of a KV head
  SoftmaxPartials out;          // [tokens * group]
  // Whether rows of f32 may be rounded as those of 16 bits are.
  bool may_round = false;
};

// Attention mass that rows receive, given the final partition of each query:
//   mass_j += sum_i exp(q_i . k_j + partition_bias_j - log_partition_i)
struct AttentionMassTask {
  Matrix<const float> queries;         // [tokens * group, head_dim]
  Rows keys;                           // [rows, head_dim]
  Vector<const float> partition_bias;  // [rows] or empty
  Vector<const int> row_token;         // [rows] or empty, as above
  int group = 1;
  Vector<const float> log_partition;  // [tokens * group]
  Vector<float> mass;                 // [rows]
};

// One of several products of the same input.
struct LinearProduct {
  const WeightMatrix* weight = nullptr;
  Matrix<float> output;  // [tokens, weight->rows]
};

// How heads are rotated: those of token i by positions[i]. No rotary: not at
// all.
struct HeadRotation {
  const Rotary* rotary = nullptr;
  Vector<const int64_t> positions;  // [tokens]
};

// Rows on their way to attention: turned, times `scale`, split into heads.
struct HeadSplit {
  HeadRotation rotation;
  HeadLayout layout;
  Matrix<float> token_major;  // [tokens, heads * head_dim]; may change
  float scale = 1.0f;
  Matrix<float> head_major;  // [layout.rows(), head_dim]
};

class Backend : public RowOps {
 public:
  virtual absl::string_view name() const = 0;
  // A line for the user on how it runs; empty: as it should.
  virtual std::string note() const { return ""; }

  // What buffers are made with whose contents stay on the device between
  // operations; null where operations work on host memory itself. Host code
  // that writes or reads such buffers says so (kernels/memory/mirror.h).
  virtual Mirror* mirror() { return nullptr; }

  // Everything that was asked for is done when it returns: for who measures
  // time. Nothing to wait for where operations return when they are done.
  virtual void Wait() {}

  // Of a device that has a queue: how operands of more commands on it are
  // found (kernels/cuda/runtime/staging.h). Null elsewhere.
  virtual cuda::Staging* staging() { return nullptr; }

  // The matrix will be read again and again and stays as it is for as long as
  // the backend lives, which may take a copy, in its own memory or layout. An
  // error where there is no room.
  virtual absl::Status KeepWeight(const WeightMatrix&) {
    return absl::OkStatus();
  }

  // Embed will read this table again and again, of which the same holds. A
  // device with memory of its own may take a copy, where there is room.
  virtual void KeepTable(const WeightMatrix&) {}

  // output = input weight^T. [tokens, weight.cols] -> [tokens, weight.rows]
  virtual void Linear(Matrix<const float> input, const WeightMatrix& weight,
                      Matrix<float> output) = 0;
  // The same of several weights; by default one after another.
  virtual void Linears(Matrix<const float> input,
                       Vector<const LinearProduct> products);
  // Row ids[i] of the table into row i of the output.
  virtual void Embed(const WeightMatrix& table, Vector<const int> ids,
                     Matrix<float> output) = 0;
  // Each row to root mean square 1, times gain [cols]. May work in place.
  virtual void RmsNorm(Matrix<const float> input, Vector<const float> gain,
                       float epsilon, Matrix<float> output) = 0;
  // Turns each head of row i by positions[i]. heads: [tokens, n * head_dim].
  virtual void Rotate(const Rotary& rotary, Vector<const int64_t> positions,
                      int64_t head_dim, Matrix<float> heads) = 0;
  // gate = gate / (1 + exp(-gate)) * up
  virtual void GatedSilu(Matrix<const float> up, Matrix<float> gate) = 0;
  // Linears of both, then GatedSilu of their outputs; by default just that.
  // The output of `up` may hold anything afterwards.
  virtual void GatedLinears(Matrix<const float> input, const LinearProduct& up,
                            const LinearProduct& gate);
  // accumulator += x
  virtual void Add(Matrix<const float> x, Matrix<float> accumulator) = 0;
  // Add, then RmsNorm of the accumulator; by default just that.
  virtual void AddRmsNorm(Matrix<const float> x, Matrix<float> accumulator,
                          Vector<const float> gain, float epsilon,
                          Matrix<float> output);
  // Adds row [cols] to each row of the matrix.
  virtual void AddRow(Vector<const float> row, Matrix<float> matrix) = 0;
  // The largest numbers of each row and the sum of exp(scales[i] (x - largest))
  // of row i, as top_numbers.h lays them out. output: [rows, TopWidth(most)],
  // 1 <= most <= kMostTop.
  virtual void Top(Matrix<const float> rows, Vector<const float> scales,
                   Matrix<float> output) = 0;

  // What moves numbers and does next to no arithmetic; by default on the host.
  // Row rows[i] into row i of the output.
  virtual void GatherRows(Matrix<const float> from, Vector<const int> rows,
                          Matrix<float> output);
  virtual void Clear(Matrix<float> matrix);  // to zeros
  // Rotate, then SplitHeads (heads.h), of each.
  virtual void SplitHeads(Vector<const HeadSplit> splits);
  // HadamardTransform::Apply of the rows, or Undo where it goes back.
  virtual void ApplyHadamard(const HadamardTransform& transform,
                             Matrix<float> rows, bool back);
  // As the functions of these names (heads.h, softmax_partials.h).
  virtual void JoinHeads(const HeadLayout& layout,
                         const SoftmaxPartials& partials,
                         const JoinPlace& place, Matrix<float> token_major);
  virtual void SetEmpty(const SoftmaxPartials& partials);
  virtual void LogPartition(const SoftmaxPartials& partials, Vector<float> out);
  virtual void RescalePartials(Vector<const float> own_max,
                               const SoftmaxPartials& partials);
  virtual void MergePacked(Vector<const float> packed,
                           const SoftmaxPartials& into);

  virtual void Attend(Vector<const AttentionTask> tasks) = 0;
  // SetEmpty of all outputs, then Attend; tasks of one output stand together.
  virtual void AttendFromEmpty(Vector<const AttentionTask> tasks);
  virtual void AccumulateMass(Vector<const AttentionMassTask> tasks) = 0;

  // RowOps, by default on the host, one task after another; clusters and the
  // best rows only where there is no mirror.
  void ConvertRows(Vector<const RowCopy> copies) override;
  void InsertCenters(Vector<const CenterTask> tasks) override;
  void InsertClusters(Vector<const ClusterTask> tasks) override;
  void KeepBest(Vector<const KeepBestTask> tasks) override;
};

// Tells the backend's mirror, if it has one, that host code wrote this memory,
// or is about to read it.
template <class T>
void WrittenByHost(Backend& backend, Vector<T> memory) {
  if (Mirror* mirror = backend.mirror()) {
    mirror->WrittenByHost(memory.data(), memory.size_bytes());
  }
}
template <class T>
void ReadByHost(Backend& backend, Vector<T> memory) {
  if (Mirror* mirror = backend.mirror()) {
    mirror->ReadByHost(memory.data(), memory.size_bytes());
  }
}

// kernels/reference and kernels/cpu. threads >= 1, the calling one included.
std::unique_ptr<Backend> MakeReferenceBackend();
std::unique_ptr<Backend> MakeCpuBackend(int threads);
// kernels/cuda, on one device of this host. An error that says what is missing:
// the toolkit when this was built, the driver, a GPU, that device.
absl::StatusOr<std::unique_ptr<Backend>> MakeCudaBackend(int device);

}  // namespace subgen
