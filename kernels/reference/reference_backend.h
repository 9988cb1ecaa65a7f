// This backend is the specification: it has a body for every operation, on host
// memory. A backend that works on host memory too derives from it and overrides
// what it makes faster. Operations that are made of others call those of the
// derived backend: GatedLinears, AddRmsNorm, AttendFromEmpty, SplitHeads,
// InsertCenters and InsertClusters.
#pragma once

#include "absl/strings/string_view.h"
#include "kernels/backend.h"

namespace subgen {

class ReferenceBackend : public Backend {
 public:
  absl::string_view name() const override { return "reference"; }

  // These are the DenseOps.
  void Linears(Matrix<const float> input,
               Vector<const LinearProduct> products) override;
  void GatedSilu(Matrix<const float> up, Matrix<float> gate) override;
  void GatedLinears(Matrix<const float> input, const LinearProduct& up,
                    const LinearProduct& gate) override;
  void Embed(const WeightMatrix& table, Vector<const int> ids,
             Matrix<float> output) override;
  void RmsNorm(Matrix<const float> input, Vector<const float> gain,
               float epsilon, Matrix<float> output) override;
  void Add(Matrix<const float> x, Matrix<float> accumulator) override;
  void AddRmsNorm(Matrix<const float> x, Matrix<float> accumulator,
                  Vector<const float> gain, float epsilon,
                  Matrix<float> output) override;
  void AddRow(Vector<const float> row, Matrix<float> matrix) override;
  void Top(Matrix<const float> rows, Vector<const float> scales,
           Matrix<float> output) override;
  void GatherRows(Matrix<const float> from, Vector<const int> rows,
                  Matrix<float> output) override;
  void Clear(Matrix<float> matrix) override;

  // These are the AttentionOps.
  void Rotate(const Rotary& rotary, Vector<const int64_t> positions,
              int64_t head_dim, Matrix<float> heads) override;
  void SplitHeads(Vector<const HeadSplit> splits) override;
  void ApplyHadamard(const HadamardTransform& transform, Matrix<float> rows,
                     bool back) override;
  void Attend(Vector<const AttentionTask> tasks) override;
  void AttendFromEmpty(Vector<const AttentionTask> tasks) override;
  void AccumulateMass(Vector<const AttentionMassTask> tasks) override;
  void JoinHeads(const HeadLayout& layout, const SoftmaxPartials& partials,
                 const JoinPlace& place, Matrix<float> token_major) override;
  void SetEmpty(const SoftmaxPartials& partials) override;
  void LogPartition(const SoftmaxPartials& partials,
                    Vector<float> out) override;
  void RescalePartials(Vector<const float> own_max,
                       const SoftmaxPartials& partials) override;
  void MergePacked(Vector<const float> packed,
                   const SoftmaxPartials& into) override;

  // These are the RowOps.
  void ConvertRows(Vector<const RowCopy> copies) override;
  void Distances(Vector<const DistanceTask> tasks) override;
  void KeepBest(Vector<const KeepBestTask> tasks) override;
  void InsertCenters(Vector<const CenterTask> tasks) override;
  void InsertClusters(Vector<const ClusterTask> tasks) override;

 private:
  std::vector<float> rotated_;  // of SplitHeads, kept from one to the next
};

}  // namespace subgen
