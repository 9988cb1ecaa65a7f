// Every cache is made of this one kind of row.
#pragma once

#include "kernels/memory/row_format.h"
#include "kernels/memory/view.h"

namespace subgen {

// These are keys and values of one KV head of one sequence, with a log-weight
// for each of the two sums of attention; -inf takes a row out of that sum. An
// empty bias means 0 for every row. Where no row takes part in the value sum,
// values may be empty (count = 0), and value_bias is then not read.
struct WeightedRows {
  Rows keys;                           // [rows, head_dim]
  Rows values;                         // [rows, head_dim]
  Vector<const float> partition_bias;  // [rows]
  Vector<const float> value_bias;      // [rows]
};

}  // namespace subgen
