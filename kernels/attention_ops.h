// An attention layer asks a device for these operations: heads on their way in,
// attention over the rows of caches, and its partial results on their way out.
// Shapes that do not fit together are bugs (Fatal).
#pragma once

#include <cstdint>

#include "kernels/attention_tasks.h"
#include "kernels/heads.h"
#include "kernels/memory/view.h"
#include "kernels/rotary.h"
#include "kernels/softmax_partials.h"

namespace subgen {

class HadamardTransform;

class AttentionOps {
 public:
  virtual ~AttentionOps() = default;

  // Rotates each head of row i by positions[i]. heads: [tokens, n * head_dim].
  virtual void Rotate(const Rotary& rotary, Vector<const int64_t> positions,
                      int64_t head_dim, Matrix<float> heads) = 0;
  // Does Rotate, then SplitHeads (heads.h), for each split.
  virtual void SplitHeads(Vector<const HeadSplit> splits) = 0;
  // Calls HadamardTransform::Apply on the rows, or Undo if `back`.
  virtual void ApplyHadamard(const HadamardTransform& transform,
                             Matrix<float> rows, bool back) = 0;

  // Merges into the output of each task what its rows contribute.
  virtual void Attend(Vector<const AttentionTask> tasks) = 0;
  // Does SetEmpty on all outputs, then Attend. Tasks with the same output must
  // stand together in the list.
  virtual void AttendFromEmpty(Vector<const AttentionTask> tasks) = 0;
  // Adds to the mass of each row of each task.
  virtual void AccumulateMass(Vector<const AttentionMassTask> tasks) = 0;

  // These do what the functions of the same names do (heads.h,
  // softmax_partials.h).
  virtual void JoinHeads(const HeadLayout& layout,
                         const SoftmaxPartials& partials,
                         const JoinPlace& place, Matrix<float> token_major) = 0;
  virtual void SetEmpty(const SoftmaxPartials& partials) = 0;
  virtual void LogPartition(const SoftmaxPartials& partials,
                            Vector<float> out) = 0;
  virtual void RescalePartials(Vector<const float> own_max,
                               const SoftmaxPartials& partials) = 0;
  virtual void MergePacked(Vector<const float> packed,
                           const SoftmaxPartials& into) = 0;
};

}  // namespace subgen
