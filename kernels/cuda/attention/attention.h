// Computes attention over weighted rows on device memory. Rows are split over
// blocks; the queries of a tile share one reading of each row; the partials of
// blocks are merged by the rule of SoftmaxPartials. It takes any row format and
// head sizes up to kMostHeadDim, in float32 throughout. Calls are put on the
// queue and return at once.
#pragma once

#include <cstdint>

#include "kernels/cuda/device/head_dim.h"
#include "kernels/memory/row_format.h"

namespace subgen::cuda {

class Queue;

inline constexpr int kTileQueries = 8;  // that share one reading of the rows
inline constexpr int kTileRows = 64;    // the most that a block takes at once

// A piece is some rows of a task for a tile of its queries. Pointers are of the
// device and null where a view is empty. Biases and row_token start at the
// first row.
struct AttentionPiece {
  const float* queries = nullptr;  // [query_count, dim]
  int64_t query_stride = 0;
  int query_count = 0;  // of a tile
  int first_query = 0;  // of the task's
  int all_queries = 0;
  int group = 1;
  int dim = 0;
  int value_dim = 0;
  int rows = 0;
  RowFormat format = RowFormat::kF32;
  const uint8_t* keys = nullptr;
  const uint8_t* values = nullptr;         // null: no row has a value
  int64_t key_bytes = 0, value_bytes = 0;  // of a row
  const float* partition_bias = nullptr;
  const float* value_bias = nullptr;
  const int* row_token = nullptr;
  float* partials = nullptr;  // of all queries over these rows
};

// Returns the size of [max_logit | partition | weighted] for so many queries,
// as in PartialsBuffer.
inline int64_t PartialsSize(int64_t queries, int64_t value_dim) {
  return queries * (2 + value_dim);
}

// A target is some queries whose partials over several sets of rows are merged.
struct MergeTarget {
  float* max_logit = nullptr;  // [query_count]
  float* partition = nullptr;  // [query_count]
  float* weighted = nullptr;   // [query_count, value_dim]
  int64_t weighted_stride = 0;
  int query_count = 0;
  int first_query = 0;
  int all_queries = 0;
  int value_dim = 0;
  const float* partials = nullptr;  // [sets, PartialsSize]
  int sets = 0;
  int from_empty = 0;  // whether it holds nothing yet, whatever is there
};

// pieces and targets are arrays on the device. No piece has more than so many
// queries, at most kTileQueries.
void AttendPieces(Queue* queue, const AttentionPiece* pieces, int64_t count,
                  int queries);
void MergePieces(Queue* queue, const MergeTarget* targets, int64_t count);

// A piece of a mass task is at most kTileRows of its rows, with all of its
// queries.
struct MassPiece {
  const float* queries = nullptr;  // [query_count, dim]
  int64_t query_stride = 0;
  int query_count = 0;
  int group = 1;
  int dim = 0;
  int rows = 0;
  const uint8_t* keys = nullptr;
  int64_t key_bytes = 0;
  const float* partition_bias = nullptr;
  const int* row_token = nullptr;
  const float* log_partition = nullptr;  // [query_count]
  float* mass = nullptr;                 // [rows], added to
};
void AccumulateMassPieces(Queue* queue, RowFormat format,
                          const MassPiece* pieces, int64_t count);

}  // namespace subgen::cuda
