// This leads from the last layer's output to what the host reads of a step.
#pragma once

#include <cstdint>
#include <vector>

#include "comm/communicator.h"
#include "engine/model/batch.h"
#include "engine/model/weights.h"
#include "kernels/backend.h"
#include "kernels/memory/buffer.h"
#include "kernels/memory/view.h"
#include "kernels/top_numbers.h"

namespace subgen {

// Each rank projects to its part of the vocabulary; what the host reads comes
// from all ranks.
class LogitsHead {
 public:
  // `counts` are the rows of the unembedding of each rank. Everything that is
  // referred to outlives the head.
  LogitsHead(const Weights& weights, std::vector<int> counts,
             float norm_epsilon, Communicator& world, Backend& backend);

  // Computes the logits of the given rows of hidden + added, on this rank. It
  // leaves the sum in `hidden`, and overwrites `added`.
  void Project(Matrix<float> hidden, Matrix<float> added,
               Vector<const int> rows);

  // Return, of the last projection, the same on every rank: all logits, [rows,
  // vocabulary], valid until the next call; or the top of each row. Both are
  // collective.
  Matrix<const float> All();
  std::vector<RowTop> Top(const TopRequest& request);

 private:
  Matrix<float> Mine();
  Matrix<const float> Gather();
  Matrix<const float> GatherTops(const TopRequest& request);

  const Weights& weights_;
  const std::vector<int> counts_;  // [ranks]
  const float norm_epsilon_;
  Communicator& world_;
  Backend& backend_;
  int64_t rows_ = 0;
  // These are grown when more is read.
  Buffer<float> my_logits_, gathered_, logits_, my_tops_, tops_;
};

}  // namespace subgen
