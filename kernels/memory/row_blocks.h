// Rows in few bits are made of blocks of numbers along the head, each with its
// own scale, and with a minimum if the numbers of a block are counted from one.
// All are [bytes of scale and minimum as f16 | quants], little-endian:
//   q8  x = scale * q,            q in [-127, 127], 32 numbers (GGUF's Q8_0)
//   q4  x = scale * q + minimum,  q in [0, 15], low halves of the bytes first
//       (with 32 numbers GGUF's Q4_1)
//   q3  x = scale * q + minimum,  q in [0, 7], number i at bits 3i to 3i + 2
// Finite numbers up to 65,504 come back within half a scale in q8. In q4 and q3
// the range of a block is cut at its ends where that lessens the squared error.
// A block that holds a number that is not finite comes back as NaN.
#pragma once

#include <cstddef>

#include "kernels/memory/row_format.h"

namespace subgen {

// These take the formats above; `row.size()` is a multiple of RowBlock(format,
// size).
void EncodeBlocks(RowFormat format, Vector<const float> row, std::byte* out);
void DecodeBlocks(RowFormat format, const std::byte* blocks, Vector<float> out);

// Quantizes a block to levels that span its range, at most 256. Scale and
// minimum go to `out` (4 bytes), quants in [0, levels] to `quants`, one for
// each number. The scale is rounded up and the minimum down, so that all
// numbers are within half a scale.
void QuantizeBlock(Vector<const float> block, int levels, std::byte* out,
                   uint8_t* quants);

}  // namespace subgen
