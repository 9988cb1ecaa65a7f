// Computes the attention of a prompt's tokens on tensor cores.
#pragma once

#include "kernels/cuda/attention/attention.h"
#include "kernels/cuda/dense/dense.h"

namespace subgen::cuda {

inline constexpr int kManyQueries = 64;  // that share one reading of the rows

// Returns whether tasks of so many tokens and heads of these sizes are taken:
// as products of matrices do, they then round to bf16.
inline bool TakesManyQueries(int64_t tokens, int64_t dim, int64_t value_dim) {
  return tokens > kFewTokens && dim % 16 == 0 && value_dim % 16 == 0;
}

// Returns how many blocks fill a device that `blocks` blocks of other kernels
// fill, four per multiprocessor; these have registers for three.
inline int64_t BlocksOfManyQueries(int64_t blocks) {
  return (3 * blocks + 3) / 4;
}

// This is an array on the device.
struct AttentionPieces {
  const AttentionPiece* pieces = nullptr;
  int64_t count = 0;
  int head_dim = 0;  // no less than any dim and value_dim
};

// Attends with pieces of up to kManyQueries queries, all of one format.
void AttendManyQueries(Queue* queue, RowFormat format,
                       const AttentionPieces& pieces);

}  // namespace subgen::cuda
