// Copies rows of a cache to another place, in another format. Calls are put on
// the queue and return at once.
#pragma once

#include <cstdint>

#include "kernels/memory/row_format.h"

namespace subgen::cuda {

class Queue;

// Returns whether there is a kernel: there is none from one quantized format to
// another.
inline bool CanConvert(RowFormat from, RowFormat to) {
  return from == to || !IsQuantized(from) || !IsQuantized(to);
}

// A piece is at most kRowsOfPiece rows, on the device.
inline constexpr int kRowsOfPiece = 64;
struct RowCopyPiece {
  const uint8_t* from = nullptr;
  uint8_t* to = nullptr;
  int count = 0;
  int dim = 0;
  int64_t from_bytes = 0, to_bytes = 0;  // of a row
  RowFormat format = RowFormat::kF32;    // that they get
  int block = 1;                         // RowBlock of it
};
// pieces is an array on the device, all from one format.
void CopyRowPieces(Queue* queue, RowFormat from, const RowCopyPiece* pieces,
                   int64_t count);

}  // namespace subgen::cuda
