// Offers threads and SIMD as a backend. Operations that are not overridden only
// move the numbers of a step, which takes little beside reading the weights.
#include <memory>

#include "kernels/cpu/attention/attention.h"
#include "kernels/cpu/cache/distances.h"
#include "kernels/cpu/cache/k_center.h"
#include "kernels/cpu/cache/keep_best.h"
#include "kernels/cpu/cache/rows.h"
#include "kernels/cpu/dense/dense.h"
#include "kernels/cpu/dense/linear.h"
#include "kernels/cpu/dense/top.h"
#include "kernels/cpu/threads/context.h"
#include "kernels/reference/reference_backend.h"

namespace subgen {
namespace {

class CpuBackend final : public ReferenceBackend {
 public:
  explicit CpuBackend(int threads) : context_(threads) {}

  absl::string_view name() const override { return "cpu"; }

  absl::Status KeepWeight(const WeightMatrix& weight) override {
    cpu::KeepWeight(context_, weight, packed_);
    return absl::OkStatus();
  }
  void Linears(Matrix<const float> input,
               Vector<const LinearProduct> products) override {
    cpu::Linears(context_, packed_, input, products);
  }
  void Embed(const WeightMatrix& table, Vector<const int> ids,
             Matrix<float> output) override {
    cpu::Embed(context_, table, ids, packed_, output);
  }
  void RmsNorm(Matrix<const float> input, Vector<const float> gain,
               float epsilon, Matrix<float> output) override {
    cpu::RmsNorm(context_, input, gain, epsilon, output);
  }
  void Rotate(const Rotary& rotary, Vector<const int64_t> positions,
              int64_t head_dim, Matrix<float> heads) override {
    rotation_.Rotate(context_, rotary, positions, head_dim, heads);
  }
  void GatedSilu(Matrix<const float> up, Matrix<float> gate) override {
    cpu::GatedSilu(context_, up, gate);
  }
  void Add(Matrix<const float> x, Matrix<float> accumulator) override {
    cpu::Add(context_, x, accumulator);
  }
  void AddRmsNorm(Matrix<const float> x, Matrix<float> accumulator,
                  Vector<const float> gain, float epsilon,
                  Matrix<float> output) override {
    cpu::AddRmsNorm(context_, {x, accumulator}, gain, epsilon, output);
  }
  void AddRow(Vector<const float> row, Matrix<float> matrix) override {
    cpu::AddRow(context_, row, matrix);
  }
  void Top(Matrix<const float> rows, Vector<const float> scales,
           Matrix<float> output) override {
    cpu::Top(context_, rows, scales, output);
  }
  void ConvertRows(Vector<const RowCopy> copies) override {
    cpu::ConvertRows(context_, copies);
  }
  void Attend(Vector<const AttentionTask> tasks) override {
    cpu::Attend(context_, tasks);
  }
  void AccumulateMass(Vector<const AttentionMassTask> tasks) override {
    cpu::AccumulateMass(context_, tasks);
  }
  void Distances(Vector<const DistanceTask> tasks) override {
    cpu::Distances(context_, tasks);
  }
  void KeepBest(Vector<const KeepBestTask> tasks) override {
    cpu::KeepBest(context_, tasks);
  }
  void InsertCenters(Vector<const CenterTask> tasks) override {
    cpu::InsertCenters(context_, tasks);
  }
  void InsertClusters(Vector<const ClusterTask> tasks) override {
    cpu::InsertClusters(context_, tasks);
  }

 private:
  cpu::Context context_;
  cpu::PackedWeights packed_;
  cpu::Rotation rotation_;
};

}  // namespace

std::unique_ptr<Backend> MakeCpuBackend(int threads) {
  return std::make_unique<CpuBackend>(threads);
}

}  // namespace subgen
