// Attention over weighted rows, as a device is asked for it: there is one task
// for each KV head and set of rows.
#pragma once

#include "kernels/memory/view.h"
#include "kernels/softmax_partials.h"
#include "kernels/weighted_rows.h"

namespace subgen {

// The queries of one KV head attend to one set of rows. The result is merged
// into `out`, so tasks over several sets of the same queries follow one another
// in one list.
struct AttentionTask {
  Matrix<const float> queries;  // [tokens * group, head_dim], scaled, rotated
  WeightedRows rows;
  // Causal: row j is seen by the queries of tokens >= row_token[j], where query
  // i belongs to token i / group. Empty: every query sees every row.
  Vector<const int> row_token;  // [rows], ascending
  int group = 1;                // query heads per KV head
  SoftmaxPartials out;          // [tokens * group]
  // Says whether rows of f32 may be rounded as those of 16 bits are.
  bool may_round = false;
};

// A mass task adds the attention that rows receive, given the final partition
// of each query:
//   mass_j += sum_i exp(q_i . k_j + partition_bias_j - log_partition_i)
struct AttentionMassTask {
  Matrix<const float> queries;         // [tokens * group, head_dim]
  Rows keys;                           // [rows, head_dim]
  Vector<const float> partition_bias;  // [rows] or empty
  Vector<const int> row_token;         // [rows] or empty, as above
  int group = 1;
  Vector<const float> log_partition;  // [tokens * group]
  Vector<float> mass;                 // [rows]
};

}  // namespace subgen
