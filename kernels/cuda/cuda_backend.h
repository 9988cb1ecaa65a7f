// The operations of this backend take host views. Mirrored memory and weights
// that are kept are used on the device; everything else is staged. Each
// operation appends its commands to the queue, and waits only where results go
// to memory that is not mirrored.
#pragma once

#include <string>
#include <vector>

#include "kernels/backend.h"
#include "kernels/cuda/attention/attention_plan.h"
#include "kernels/cuda/cache/algorithm1_plan.h"
#include "kernels/cuda/cache/k_center_plan.h"
#include "kernels/cuda/cache/keep_best.h"
#include "kernels/cuda/cache/row_plan.h"
#include "kernels/cuda/dense/dense.h"
#include "kernels/cuda/dense/kept_weights.h"
#include "kernels/cuda/dense/rotary.h"
#include "kernels/cuda/runtime/pieces.h"

namespace subgen::cuda {

class CudaBackend final : public Backend {
 public:
  CudaBackend(int device, int processors);

  absl::string_view name() const override { return "cuda"; }
  void Wait() override { queue_.Run(); }
  std::string note() const override { return queue_.capture_refusal(); }
  Mirror* mirror() override { return &mirror_; }
  Staging* staging() { return &staging_; }
  absl::Status KeepWeight(const WeightMatrix& weight) override {
    return kept_.Keep(weight);
  }
  void KeepTable(const WeightMatrix& table) override {
    kept_.Keep(table).IgnoreError();  // its rows are sent as they are read
  }

  // These are in cuda_backend.cc.
  void Linears(Matrix<const float> input,
               Vector<const LinearProduct> products) override;
  void Embed(const WeightMatrix& table, Vector<const int> ids,
             Matrix<float> output) override;
  void RmsNorm(Matrix<const float> input, Vector<const float> gain,
               float epsilon, Matrix<float> output) override;
  void GatedSilu(Matrix<const float> up, Matrix<float> gate) override;
  void GatedLinears(Matrix<const float> input, const LinearProduct& up,
                    const LinearProduct& gate) override;
  void Add(Matrix<const float> x, Matrix<float> accumulator) override;
  void AddRmsNorm(Matrix<const float> x, Matrix<float> accumulator,
                  Vector<const float> gain, float epsilon,
                  Matrix<float> output) override;
  void AddRow(Vector<const float> row, Matrix<float> matrix) override;
  void Top(Matrix<const float> rows, Vector<const float> scales,
           Matrix<float> output) override;

  // These are in cuda_backend_layout.cc.
  void GatherRows(Matrix<const float> from, Vector<const int> rows,
                  Matrix<float> output) override;
  void Clear(Matrix<float> matrix) override;
  void SplitHeads(Vector<const HeadSplit> splits) override;
  void Rotate(const Rotary& rotary, Vector<const int64_t> positions,
              int64_t head_dim, Matrix<float> heads) override;
  void ApplyHadamard(const HadamardTransform& transform, Matrix<float> rows,
                     bool back) override;
  void JoinHeads(const HeadLayout& layout, const SoftmaxPartials& partials,
                 const JoinPlace& place, Matrix<float> token_major) override;
  void SetEmpty(const SoftmaxPartials& partials) override;
  void LogPartition(const SoftmaxPartials& partials,
                    Vector<float> out) override;
  void RescalePartials(Vector<const float> own_max,
                       const SoftmaxPartials& partials) override;
  void MergePacked(Vector<const float> packed,
                   const SoftmaxPartials& into) override;

  // These are in cuda_backend_tasks.cc.
  void ConvertRows(Vector<const RowCopy> copies) override;
  void Attend(Vector<const AttentionTask> tasks) override {
    Attend(tasks, AttentionStart::kFromOutputs);
  }
  void AttendFromEmpty(Vector<const AttentionTask> tasks) override {
    Attend(tasks, AttentionStart::kFromEmpty);
  }
  void AccumulateMass(Vector<const AttentionMassTask> tasks) override;
  void Distances(Vector<const DistanceTask> tasks) override;
  void InsertCenters(Vector<const CenterTask> tasks) override;
  void InsertClusters(Vector<const ClusterTask> tasks) override;
  void KeepBest(Vector<const KeepBestTask> tasks) override;

 private:
  WeightMatrix OnDevice(const WeightMatrix& weight, Operation* operation);
  // Returns the product on the device; its output is overwritten.
  DeviceProduct OnDevice(Matrix<const float> input,
                         const LinearProduct& product, Operation* operation);
  RotaryAngles OnDevice(const HeadRotation& rotation, Operation* operation);
  void Attend(Vector<const AttentionTask> tasks, AttentionStart start);
  void ConvertOnHost(const RowCopy& copy);

  const int64_t blocks_;  // of a grid that fills the device
  Queue queue_;
  DeviceMirror mirror_{&queue_};
  Staging staging_{&queue_, &mirror_};
  KeptWeights kept_{&queue_};
  // These are plans of the operation at hand; their memory stays.
  AttentionPlan attention_;
  CenterPlan centers_;
  PiecesByFormat<ClusterHead> clusters_;
  std::vector<KeepBestHead> scored_;
  PiecesByFormat<RowCopyPiece> copies_;
  PiecesByFormat<DistancePiece> distances_;
  std::vector<DeviceProduct> products_;
};

// Returns where commands of other libraries find their operands and the queue
// of a backend; null if it is not a backend of CUDA.
Staging* StagingOf(Backend& backend);

}  // namespace subgen::cuda
