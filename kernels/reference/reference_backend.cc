#include "kernels/reference/reference_backend.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "kernels/base/check.h"
#include "kernels/memory/hadamard.h"
#include "kernels/reference/algorithm1.h"
#include "kernels/reference/attention.h"
#include "kernels/reference/dense.h"
#include "kernels/reference/distances.h"
#include "kernels/reference/k_center.h"
#include "kernels/reference/keep_best.h"
#include "kernels/reference/rows.h"

namespace subgen {

void ReferenceBackend::Linears(Matrix<const float> input,
                               Vector<const LinearProduct> products) {
  for (const LinearProduct& product : products) {
    reference::Linear(input, *product.weight, product.output);
  }
}

void ReferenceBackend::GatedSilu(Matrix<const float> up, Matrix<float> gate) {
  reference::GatedSilu(up, gate);
}

void ReferenceBackend::GatedLinears(Matrix<const float> input,
                                    const LinearProduct& up,
                                    const LinearProduct& gate) {
  const LinearProduct products[] = {gate, up};
  Linears(input, products);
  GatedSilu(up.output, gate.output);
}

void ReferenceBackend::Embed(const WeightMatrix& table, Vector<const int> ids,
                             Matrix<float> output) {
  reference::Embed(table, ids, output);
}

void ReferenceBackend::RmsNorm(Matrix<const float> input,
                               Vector<const float> gain, float epsilon,
                               Matrix<float> output) {
  reference::RmsNorm(input, gain, epsilon, output);
}

void ReferenceBackend::Add(Matrix<const float> x, Matrix<float> accumulator) {
  reference::Add(x, accumulator);
}

void ReferenceBackend::AddRmsNorm(Matrix<const float> x,
                                  Matrix<float> accumulator,
                                  Vector<const float> gain, float epsilon,
                                  Matrix<float> output) {
  Add(x, accumulator);
  RmsNorm(accumulator, gain, epsilon, output);
}

void ReferenceBackend::AddRow(Vector<const float> row, Matrix<float> matrix) {
  reference::AddRow(row, matrix);
}

void ReferenceBackend::Top(Matrix<const float> rows, Vector<const float> scales,
                           Matrix<float> output) {
  reference::Top(rows, scales, output);
}

void ReferenceBackend::GatherRows(Matrix<const float> from,
                                  Vector<const int> rows,
                                  Matrix<float> output) {
  SUBGEN_CHECK(from.cols == output.cols &&
               output.rows == static_cast<int64_t>(rows.size()));
  for (int64_t i = 0; i < output.rows; ++i) {
    SUBGEN_CHECK(rows[i] >= 0 && rows[i] < from.rows, rows[i]);
    const Vector<const float> row = from.row(rows[i]);
    std::copy(row.begin(), row.end(), output.row(i).begin());
  }
}

void ReferenceBackend::Clear(Matrix<float> matrix) {
  for (int64_t i = 0; i < matrix.rows; ++i) {
    std::fill_n(matrix.row(i).data(), matrix.cols, 0.0f);
  }
}

void ReferenceBackend::Rotate(const Rotary& rotary,
                              Vector<const int64_t> positions, int64_t head_dim,
                              Matrix<float> heads) {
  reference::Rotate(rotary, positions, head_dim, heads);
}

void ReferenceBackend::SplitHeads(Vector<const HeadSplit> splits) {
  for (const HeadSplit& split : splits) {
    const auto& [rotary, positions] = split.rotation;
    Matrix<const float> heads = split.token_major;
    if (rotary != nullptr) {
      // Rotated in a copy, as another split may rotate the same rows otherwise.
      rotated_.resize(heads.rows * heads.cols);
      const Matrix<float> copy(rotated_.data(), heads.rows, heads.cols);
      for (int64_t i = 0; i < heads.rows; ++i) {
        std::ranges::copy(heads.row(i), copy.row(i).begin());
      }
      Rotate(*rotary, positions, split.layout.head_dim, copy);
      heads = copy;
    }
    subgen::SplitHeads(split.layout, heads, split.scale, split.head_major);
  }
}

void ReferenceBackend::ApplyHadamard(const HadamardTransform& transform,
                                     Matrix<float> rows, bool back) {
  if (back) {
    transform.Undo(rows);
  } else {
    transform.Apply(rows);
  }
}

void ReferenceBackend::Attend(Vector<const AttentionTask> tasks) {
  for (const AttentionTask& task : tasks) reference::Attend(task);
}

void ReferenceBackend::AttendFromEmpty(Vector<const AttentionTask> tasks) {
  // Tasks with one output stand together, so an output is emptied where it
  // first comes up.
  const float* emptied = nullptr;
  for (const AttentionTask& task : tasks) {
    if (std::exchange(emptied, task.out.max_logit.data()) !=
        task.out.max_logit.data()) {
      SetEmpty(task.out);
    }
  }
  Attend(tasks);
}

void ReferenceBackend::AccumulateMass(Vector<const AttentionMassTask> tasks) {
  for (const AttentionMassTask& task : tasks) reference::AccumulateMass(task);
}

void ReferenceBackend::JoinHeads(const HeadLayout& layout,
                                 const SoftmaxPartials& partials,
                                 const JoinPlace& place,
                                 Matrix<float> token_major) {
  subgen::JoinHeads(layout, partials, place, token_major);
}

void ReferenceBackend::SetEmpty(const SoftmaxPartials& partials) {
  subgen::SetEmpty(partials);
}

void ReferenceBackend::LogPartition(const SoftmaxPartials& partials,
                                    Vector<float> out) {
  subgen::LogPartition(partials, out);
}

void ReferenceBackend::RescalePartials(Vector<const float> own_max,
                                       const SoftmaxPartials& partials) {
  subgen::RescalePartials(own_max, partials);
}

void ReferenceBackend::MergePacked(Vector<const float> packed,
                                   const SoftmaxPartials& into) {
  subgen::MergePacked(packed, into);
}

void ReferenceBackend::ConvertRows(Vector<const RowCopy> copies) {
  for (const RowCopy& copy : copies) reference::ConvertRows(copy);
}

void ReferenceBackend::Distances(Vector<const DistanceTask> tasks) {
  for (const DistanceTask& task : tasks) reference::Distances(task);
}

void ReferenceBackend::KeepBest(Vector<const KeepBestTask> tasks) {
  for (const KeepBestTask& task : tasks) reference::KeepBest(task);
}

void ReferenceBackend::InsertCenters(Vector<const CenterTask> tasks) {
  for (const CenterTask& task : tasks) reference::InsertCenters(*this, task);
}

void ReferenceBackend::InsertClusters(Vector<const ClusterTask> tasks) {
  for (const ClusterTask& task : tasks) {
    reference::InsertClusters(
        task, [this](Vector<const float> point, const Rows& rows,
                     Vector<float> squared) {
          const DistanceTask distances = {point, rows, squared};
          Distances({&distances, 1});
        });
  }
}

std::unique_ptr<Backend> MakeReferenceBackend() {
  return std::make_unique<ReferenceBackend>();
}

}  // namespace subgen
