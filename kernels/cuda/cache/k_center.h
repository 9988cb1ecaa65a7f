// Inserts tokens into SubGen's centers (kernels/k_center.h) on device memory.
// Calls are put on the queue and return at once. The distances of all tokens
// come first, over many blocks, because they do not depend on each other; the
// choices follow, one head per block, because each depends on the one before.
#pragma once

#include <cstdint>

#include "kernels/k_center.h"

namespace subgen::cuda {

class Queue;

// Holds distances by a part of the metric; they are null where it does not have
// the part.
struct CenterDistances {
  float* centers = nullptr;  // [tokens, limit]
  float* tokens = nullptr;   // [tokens, tokens]
};

// This is a CenterTask for the device. Pointers are of the device, null where
// an array is empty.
struct CenterHead {
  CenterMetric metric;
  int dim = 0;  // <= kMostHeadDim
  int limit = 0;
  int rows = 0;
  int tokens = 0;
  int64_t entered = 0;
  int64_t row_bytes = 0;
  uint8_t* keys = nullptr;
  uint8_t* values = nullptr;
  const uint8_t* token_keys = nullptr;
  const uint8_t* token_values = nullptr;
  int32_t* counts = nullptr;
  float* bias = nullptr;
  int32_t* near_rows = nullptr;
  int32_t* second_rows = nullptr;
  float* near_squared = nullptr;
  float* second_squared = nullptr;
  float* alignments = nullptr;
  double* totals = nullptr;
  // These are room for what the kernels compute; they are not filled.
  CenterDistances of_keys, of_directions, of_values;
  // Each is [max(rows, limit) + 1]: distances of the token, weights and scores
  // of all, distances of a row.
  float* squared = nullptr;
  float* weights = nullptr;
  float* scores = nullptr;
  float* others = nullptr;
};

// A piece is at most kDistanceRows rows, with all tokens of a head.
struct TokenDistancesPiece {
  const uint8_t* tokens = nullptr;
  int token_count = 0;
  const uint8_t* rows = nullptr;
  int count = 0;
  int64_t row_bytes = 0;  // of both
  int dim = 0;
  bool directions = false;
  float* squared = nullptr;  // [token_count, count], rows `stride` apart
  int64_t stride = 0;
};

// pieces and heads are arrays on the device; all rows have one format.
void TokenDistancesOfPieces(Queue* queue, RowFormat format,
                            const TokenDistancesPiece* pieces, int64_t count);
void InsertCentersOfHeads(Queue* queue, RowFormat format,
                          const CenterHead* heads, int64_t count);

}  // namespace subgen::cuda
