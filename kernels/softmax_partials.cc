#include "kernels/softmax_partials.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace subgen {
namespace {

constexpr float kEmpty = -std::numeric_limits<float>::infinity();

void Scale(float factor, float* partition, Vector<float> weighted) {
  *partition *= factor;
  for (float& w : weighted) w *= factor;
}

void MergeRow(const SoftmaxPartials& from, const SoftmaxPartials& into,
              int64_t i) {
  // Without this test, two empty sides would compute -inf - -inf, a NaN.
  if (from.max_logit[i] == kEmpty) return;
  const float max = std::max(from.max_logit[i], into.max_logit[i]);
  const float keep =
      into.max_logit[i] == kEmpty ? 0.0f : std::exp(into.max_logit[i] - max);
  if (keep != 1.0f) Scale(keep, &into.partition[i], into.weighted.row(i));
  const float add = std::exp(from.max_logit[i] - max);
  into.max_logit[i] = max;
  into.partition[i] += add * from.partition[i];
  for (int64_t c = 0; c < into.weighted.cols; ++c) {
    into.weighted.row(i)[c] += add * from.weighted.row(i)[c];
  }
}

}  // namespace

SoftmaxPartials SoftmaxPartials::Rows(int64_t first, int64_t count) const {
  return {max_logit.subspan(first, count), partition.subspan(first, count),
          weighted.Rows(first, count)};
}

void SetEmpty(const SoftmaxPartials& partials) {
  std::fill(partials.max_logit.begin(), partials.max_logit.end(), kEmpty);
  std::fill(partials.partition.begin(), partials.partition.end(), 0.0f);
  for (int64_t i = 0; i < partials.rows(); ++i) {
    const Vector<float> row = partials.weighted.row(i);
    std::fill(row.begin(), row.end(), 0.0f);
  }
}

void MergePartials(const SoftmaxPartials& from, const SoftmaxPartials& into) {
  SUBGEN_CHECK(from.rows() == into.rows() &&
               from.weighted.cols == into.weighted.cols);
  for (int64_t i = 0; i < into.rows(); ++i) MergeRow(from, into, i);
}

void RescalePartials(Vector<const float> own_max,
                     const SoftmaxPartials& partials) {
  SUBGEN_CHECK(static_cast<int64_t>(own_max.size()) == partials.rows());
  for (int64_t i = 0; i < partials.rows(); ++i) {
    const float own = own_max[i], max = partials.max_logit[i];
    if (own == max) continue;
    const Vector<float> weighted = partials.weighted.row(i);
    // The sums are set, not scaled: they may hold a NaN, which a factor of 0
    // would keep.
    if (own == kEmpty) {
      partials.partition[i] = 0.0f;
      std::fill(weighted.begin(), weighted.end(), 0.0f);
    } else {
      Scale(std::exp(own - max), &partials.partition[i], weighted);
    }
  }
}

void MergePacked(Vector<const float> packed, const SoftmaxPartials& into) {
  const int64_t rows = into.rows(), dim = into.weighted.cols;
  const int64_t each = rows * (dim + 2);
  SUBGEN_CHECK(each == 0 || packed.size() % each == 0);
  SetEmpty(into);
  for (int64_t at = 0; at < static_cast<int64_t>(packed.size()); at += each) {
    float* const data = const_cast<float*>(&packed[at]);  // only read
    const size_t n = rows;
    MergePartials({{data, n}, {data + n, n}, {data + 2 * n, rows, dim}}, into);
  }
}

void LogPartition(const SoftmaxPartials& partials, Vector<float> out) {
  for (int64_t i = 0; i < partials.rows(); ++i) {
    out[i] = partials.partition[i] > 0.0f
                 ? partials.max_logit[i] + std::log(partials.partition[i])
                 : kEmpty;
  }
}

SoftmaxPartials PartialsBuffer::Resize(int64_t rows) {
  SUBGEN_CHECK(rows >= 0 && rows * (head_dim_ + 2) <= memory_.size());
  rows_ = rows;
  return view();
}

SoftmaxPartials PartialsBuffer::view() {
  float* data = memory_.data();
  const size_t rows = rows_;
  return {
      {data, rows}, {data + rows, rows}, {data + 2 * rows, rows_, head_dim_}};
}

Vector<float> PartialsBuffer::packed() {
  return memory_.span().first(rows_ * (head_dim_ + 2));
}

Vector<float> PartialsBuffer::sums() { return packed().subspan(rows_); }

}  // namespace subgen
