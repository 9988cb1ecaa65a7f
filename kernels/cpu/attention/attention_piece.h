// A thread's piece of attention is some queries over some rows of one task.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/attention_tasks.h"
#include "kernels/base/range.h"

namespace subgen::cpu {

// Rows and queries are taken in tiles, so that the rows of a tile, its logits
// and its weighted sums stay in a first- or second-level cache (16 to 96 KiB
// each where head_dim is 64).
inline constexpr int64_t kRowTile = 64;
inline constexpr int64_t kQueryTile = 384;
inline constexpr int64_t kFloatQueries = 128;  // as float32

struct Piece {
  int64_t task = 0;  // index in the list
  Range queries;
  Range rows;
};

// Returns the width of a row of numbers that has room for whole vectors of 16.
inline int64_t PaddedWidth(int64_t dim) { return (dim + 15) / 16 * 16; }

// Returns how many rows the queries of `token` see: all, or a prefix, as
// row_token ascends.
inline int64_t VisibleRows(Vector<const int> row_token, int64_t rows,
                           int64_t token) {
  if (row_token.empty()) return rows;
  return std::upper_bound(row_token.begin(), row_token.end(), token) -
         row_token.begin();
}

// The two functions below need so many floats of scratch.
int64_t AttendScratch(const AttentionTask& task);
int64_t MassScratch(const AttentionMassTask& task);

// Computes what the rows of the piece contribute to its queries (at most
// kQueryTile). out: [queries.count], with room for whole vectors of 16 behind
// maxima and partitions; weighted has the stride PaddedWidth(value_dim).
void AttendPiece(const AttentionTask& task, const Piece& piece, float* scratch,
                 const SoftmaxPartials& out);

// Sets mass[rows.count] to what the rows receive from all queries.
void MassPiece(const AttentionMassTask& task, Range rows, float* scratch,
               float* mass);

}  // namespace subgen::cpu
