// What backends on host memory share.
#include "kernels/backend.h"

#include <algorithm>

namespace subgen {

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

void Backend::SplitHeads(const HeadLayout& layout,
                         Matrix<const float> token_major, float scale,
                         Matrix<float> head_major) {
  subgen::SplitHeads(layout, token_major, scale, head_major);
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

void Backend::InsertCenters(Vector<const CenterTask> tasks) {
  for (const CenterTask& task : tasks) InsertCentersOnHost(*this, task);
}

}  // namespace subgen
