// What backends share, most of it on host memory.
#include "kernels/backend.h"

#include <algorithm>
#include <utility>

#include "kernels/base/check.h"
#include "kernels/memory/hadamard.h"

namespace subgen {

void Backend::Linears(Matrix<const float> input,
                      Vector<const LinearProduct> products) {
  for (const LinearProduct& product : products) {
    Linear(input, *product.weight, product.output);
  }
}

void Backend::GatedLinears(Matrix<const float> input, const LinearProduct& up,
                           const LinearProduct& gate) {
  const LinearProduct products[] = {gate, up};
  Linears(input, products);
  GatedSilu(up.output, gate.output);
}

void Backend::AddRmsNorm(Matrix<const float> x, Matrix<float> accumulator,
                         Vector<const float> gain, float epsilon,
                         Matrix<float> output) {
  Add(x, accumulator);
  RmsNorm(accumulator, gain, epsilon, output);
}

void Backend::GatherRows(Matrix<const float> from, Vector<const int> rows,
                         Matrix<float> output) {
  SUBGEN_CHECK(from.cols == output.cols &&
               output.rows == static_cast<int64_t>(rows.size()));
  for (int64_t i = 0; i < output.rows; ++i) {
    SUBGEN_CHECK(rows[i] >= 0 && rows[i] < from.rows, rows[i]);
    const Vector<const float> row = from.row(rows[i]);
    std::copy(row.begin(), row.end(), output.row(i).begin());
  }
}

void Backend::Clear(Matrix<float> matrix) {
  for (int64_t i = 0; i < matrix.rows; ++i) {
    std::fill_n(matrix.row(i).data(), matrix.cols, 0.0f);
  }
}

void Backend::SplitHeads(Vector<const HeadSplit> splits) {
  for (const HeadSplit& split : splits) {
    const auto& [rotary, positions] = split.rotation;
    if (rotary != nullptr) {
      Rotate(*rotary, positions, split.layout.head_dim, split.token_major);
    }
    subgen::SplitHeads(split.layout, split.token_major, split.scale,
                       split.head_major);
  }
}

void Backend::ApplyHadamard(const HadamardTransform& transform,
                            Matrix<float> rows, bool back) {
  if (back) {
    transform.Undo(rows);
  } else {
    transform.Apply(rows);
  }
}

void Backend::JoinHeads(const HeadLayout& layout,
                        const SoftmaxPartials& partials, const JoinPlace& place,
                        Matrix<float> token_major) {
  subgen::JoinHeads(layout, partials, place, token_major);
}

void Backend::SetEmpty(const SoftmaxPartials& partials) {
  subgen::SetEmpty(partials);
}

void Backend::LogPartition(const SoftmaxPartials& partials, Vector<float> out) {
  subgen::LogPartition(partials, out);
}

void Backend::RescalePartials(Vector<const float> own_max,
                              const SoftmaxPartials& partials) {
  subgen::RescalePartials(own_max, partials);
}

void Backend::MergePacked(Vector<const float> packed,
                          const SoftmaxPartials& into) {
  subgen::MergePacked(packed, into);
}

void Backend::ConvertRows(Vector<const RowCopy> copies) {
  for (const RowCopy& copy : copies) {
    const Rows& from = copy.from;
    const size_t from_bytes = RowBytes(from.format, from.dim);
    const size_t to_bytes = RowBytes(copy.format, from.dim);
    ReadByHost(*this,
               Vector<const std::byte>(from.data, from.count * from_bytes));
    for (int64_t i = 0; i < from.count; ++i) {
      ConvertRow(from.format, from.row(i), from.dim, copy.format,
                 copy.to + i * to_bytes);
    }
    WrittenByHost(*this, Vector<std::byte>(copy.to, copy.to_bytes()));
  }
}

void Backend::AttendFromEmpty(Vector<const AttentionTask> tasks) {
  const float* emptied = nullptr;
  for (const AttentionTask& task : tasks) {
    if (std::exchange(emptied, task.out.max_logit.data()) !=
        task.out.max_logit.data()) {
      SetEmpty(task.out);
    }
  }
  Attend(tasks);
}

void Backend::InsertCenters(Vector<const CenterTask> tasks) {
  for (const CenterTask& task : tasks) InsertCentersOnHost(*this, task);
}

void Backend::InsertClusters(Vector<const ClusterTask> tasks) {
  SUBGEN_CHECK(mirror() == nullptr);
  for (const ClusterTask& task : tasks) {
    InsertClustersOnHost(task, [&](Vector<const float> point, const Rows& rows,
                                   Vector<float> squared) {
      const DistanceTask distances = {point, rows, squared};
      Distances({&distances, 1});
    });
  }
}

void Backend::KeepBest(Vector<const KeepBestTask> tasks) {
  SUBGEN_CHECK(mirror() == nullptr);
  for (const KeepBestTask& task : tasks) KeepBestOnHost(task);
}

}  // namespace subgen
