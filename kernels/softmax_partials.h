// Softmax partials are what a set of tokens contributes to softmax attention.
// Everything that is attended to (a sketch, a window, the chunk being read,
// another rank) produces them, and all of them merge by the one rule below (the
// rule of online softmax, Milakov and Gimelshein, arXiv 1805.02867).
#pragma once

#include "kernels/memory/buffer.h"
#include "kernels/memory/view.h"

namespace subgen {

// There is one row per query head of a token. With m = max_logit:
//   partition = sum_j exp(logit_j + partition_bias_j - m)
//   weighted  = sum_j exp(logit_j + value_bias_j     - m) value_j
//   attention = weighted / partition
// An empty set has max_logit = -inf, partition = 0, weighted = 0. Partials over
// disjoint sets merge in any order.
struct SoftmaxPartials {
  Vector<float> max_logit;  // [rows]
  Vector<float> partition;  // [rows]
  Matrix<float> weighted;   // [rows, head_dim]

  int64_t rows() const { return weighted.rows; }
  SoftmaxPartials Rows(int64_t first, int64_t count) const;
};

void SetEmpty(const SoftmaxPartials& partials);

// Merges `from` into `into`. An empty side changes nothing; no NaN arises from
// -inf.
void MergePartials(const SoftmaxPartials& from, const SoftmaxPartials& into);

// Rescales partials that are relative to `own_max` [rows], so that they are
// relative to their max_logit. A row whose own_max is -inf is empty: it gets
// weight zero, whatever it holds.
void RescalePartials(Vector<const float> own_max,
                     const SoftmaxPartials& partials);

// Sets `into` to the merge of several partials of its shape, which lie one
// behind the other, each packed as in PartialsBuffer.
void MergePacked(Vector<const float> packed, const SoftmaxPartials& into);

// Computes the log of the whole partition, [rows]; it is -inf for an empty set.
void LogPartition(const SoftmaxPartials& partials, Vector<float> out);

// The memory of partials is contiguous, [max_logit | partition | weighted], so
// that a sum over ranks is one all-reduce of the last two.
class PartialsBuffer {
 public:
  PartialsBuffer() = default;
  PartialsBuffer(int64_t max_rows, int64_t head_dim, Mirror* mirror = nullptr)
      : memory_(max_rows * (head_dim + 2), mirror), head_dim_(head_dim) {}

  // Sets the number of rows (at most max_rows) and returns the views; they are
  // not emptied.
  SoftmaxPartials Resize(int64_t rows);
  SoftmaxPartials view();

  Vector<float> packed();  // [rows * (2 + head_dim)], the three parts
  Vector<float> sums();    // [rows * (1 + head_dim)], partition and weighted

 private:
  Buffer<float> memory_;
  int64_t head_dim_ = 0;
  int64_t rows_ = 0;
};

}  // namespace subgen
