// A tile holds rows of an attention piece in shared memory, as bf16. Rows that
// are stored in bf16 are copied while the block works on another tile; others
// are expanded by the block.
#pragma once

#include <climits>

#include "kernels/cuda/attention/attention.h"
#include "kernels/cuda/attention/stored_tile.h"
#include "kernels/cuda/device/cache_rows.h"
#include "kernels/cuda/device/tensor_cores.h"

namespace subgen::cuda {

// This tile is for head sizes up to kDim, and zero beyond a head's own. Two of
// them are in a block's 48 KB; no two of 8 neighboring rows are in the same
// banks.
template <int kDim>
struct alignas(16) RowTile {
  static constexpr int kRows = kDim <= 64 ? 64 : kDim <= 128 ? 32 : 16;
  static constexpr int kPitch = kDim + 8;
  using Numbers = uint16_t[kRows][kPitch];

  Numbers keys;
  Numbers values;
  float partition_bias[kRows];
  float value_bias[kRows];
  int token[kRows];  // the first one that sees it; INT_MAX: there is no row
};

// A tile takes its keys or values from one of these.
struct RowSource {
  const uint8_t* rows;
  int64_t row_bytes;
  int dim;
  int count;  // of the rows
};

// Returns numbers [first, first + 8) of a row, rounded to bf16.
__device__ __forceinline__ uint4 LoadAsBF16(RowFormat format,
                                            const uint8_t* row, int dim,
                                            int first) {
  float x[8];
  switch (format) {
    case RowFormat::kF32:
      LoadRow8<RowFormat::kF32>(row, dim, first, x);
      break;
    case RowFormat::kBF16:
      LoadRow8<RowFormat::kBF16>(row, dim, first, x);
      break;
    case RowFormat::kF16:
      LoadRow8<RowFormat::kF16>(row, dim, first, x);
      break;
    case RowFormat::kQ8:
      LoadRow8<RowFormat::kQ8>(row, dim, first, x);
      break;
    case RowFormat::kQ4:
      LoadRow8<RowFormat::kQ4>(row, dim, first, x);
      break;
    case RowFormat::kQ3:
      LoadRow8<RowFormat::kQ3>(row, dim, first, x);
      break;
  }
  return {PairOfBF16(x[0], x[1]), PairOfBF16(x[2], x[3]),
          PairOfBF16(x[4], x[5]), PairOfBF16(x[6], x[7])};
}

// Fills a tile with the first rows of the source, and with zeros where it has
// none, by all threads of the block. What is copied is there when the open
// group has been waited for.
template <int kThreads, bool as_they_are, int kRows, int kPitch>
__device__ __forceinline__ void FillRows(const RowSource& from,
                                         RowFormat format,
                                         uint16_t (&to)[kRows][kPitch]) {
  constexpr int kRuns = (kPitch - 8) / 8;
  static_assert(kRows * kRuns % kThreads == 0);
#pragma unroll
  for (int i = 0; i < kRows * kRuns; i += kThreads) {
    const int row = (i + threadIdx.x) / kRuns;
    const int first = (i + threadIdx.x) % kRuns * 8;
    uint4* const at = reinterpret_cast<uint4*>(&to[row][first]);
    const uint8_t* const numbers = from.rows + row * from.row_bytes;
    if (row >= from.count || first >= from.dim) {
      *at = {0, 0, 0, 0};
    } else if constexpr (as_they_are) {
      __pipeline_memcpy_async(at, numbers + 2 * first, 16);
    } else {
      *at = LoadAsBF16(format, numbers, from.dim, first);
    }
  }
}

// Fills a tile with rows from `first` on, in one group of copies.
template <int kThreads, bool as_they_are, int kDim>
__device__ __forceinline__ void FillTile(const AttentionPiece& piece,
                                         RowFormat format, int first,
                                         RowTile<kDim>& tile) {
  const int count = piece.rows - first;
  FillRows<kThreads, as_they_are>(
      {piece.keys + first * piece.key_bytes, piece.key_bytes, piece.dim, count},
      format, tile.keys);
  if (piece.values != nullptr) {
    FillRows<kThreads, as_they_are>({piece.values + first * piece.value_bytes,
                                     piece.value_bytes, piece.value_dim, count},
                                    format, tile.values);
  }
  const int row = threadIdx.x;
  if (row < RowTile<kDim>::kRows) {
    if (row < count) {
      CopyNumber(piece.partition_bias, first + row, 0.0f,
                 &tile.partition_bias[row]);
      CopyNumber(piece.value_bias, first + row, 0.0f, &tile.value_bias[row]);
      CopyNumber(piece.row_token, first + row, 0, &tile.token[row]);
    } else {
      tile.partition_bias[row] = tile.value_bias[row] = 0.0f;
      tile.token[row] = INT_MAX;
    }
  }
  __pipeline_commit();
}

}  // namespace subgen::cuda
