// The specification as a backend.
#include <memory>

#include "kernels/backend.h"
#include "kernels/reference/attention.h"
#include "kernels/reference/dense.h"
#include "kernels/reference/distances.h"

namespace subgen {
namespace {

class ReferenceBackend final : public Backend {
 public:
  absl::string_view name() const override { return "reference"; }

  void Linear(Matrix<const float> input, const WeightMatrix& weight,
              Matrix<float> output) override {
    reference::Linear(input, weight, output);
  }
  void Embed(const WeightMatrix& table, Vector<const int> ids,
             Matrix<float> output) override {
    reference::Embed(table, ids, output);
  }
  void RmsNorm(Matrix<const float> input, Vector<const float> gain,
               float epsilon, Matrix<float> output) override {
    reference::RmsNorm(input, gain, epsilon, output);
  }
  void Rotate(const Rotary& rotary, Vector<const int64_t> positions,
              int64_t head_dim, Matrix<float> heads) override {
    reference::Rotate(rotary, positions, head_dim, heads);
  }
  void GatedSilu(Matrix<const float> up, Matrix<float> gate) override {
    reference::GatedSilu(up, gate);
  }
  void Add(Matrix<const float> x, Matrix<float> accumulator) override {
    reference::Add(x, accumulator);
  }
  void AddRow(Vector<const float> row, Matrix<float> matrix) override {
    reference::AddRow(row, matrix);
  }
  void Top(Matrix<const float> rows, Vector<const float> scales,
           Matrix<float> output) override {
    reference::Top(rows, scales, output);
  }
  void Attend(Vector<const AttentionTask> tasks) override {
    for (const AttentionTask& task : tasks) reference::Attend(task);
  }
  void AccumulateMass(Vector<const AttentionMassTask> tasks) override {
    for (const AttentionMassTask& task : tasks) {
      reference::AccumulateMass(task);
    }
  }
  void Distances(Vector<const DistanceTask> tasks) override {
    for (const DistanceTask& task : tasks) reference::Distances(task);
  }
};

}  // namespace

std::unique_ptr<Backend> MakeReferenceBackend() {
  return std::make_unique<ReferenceBackend>();
}

}  // namespace subgen
