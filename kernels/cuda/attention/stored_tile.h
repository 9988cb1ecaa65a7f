// A tile holds rows of an attention piece in shared memory as they are stored;
// they are copied while the block works on another tile.
#pragma once

#include <climits>

#include "kernels/base/host_device.h"
#include "kernels/cuda/attention/attention.h"
#include "kernels/cuda/device/async_copy.h"

namespace subgen::cuda {

inline constexpr int kTileBytes = 16384;

// Returns the rows of a tile where a key and a value together have so many
// bytes; there are at least 8 rows of the largest heads.
SUBGEN_HOST_DEVICE int RowsOfTile(int64_t row_bytes) {
  const int64_t rows = kTileBytes / row_bytes / 4 * 4;  // a warp takes 4
  return rows < kTileRows ? static_cast<int>(rows) : kTileRows;
}

struct StoredTile {
  // Keys come first, then values. Each starts where its address has the same
  // last bits as in the cache, so that whole copies can be used.
  alignas(kCopyBytes) uint8_t bytes[kTileBytes + 4 * kCopyBytes];
  float partition_bias[kTileRows];
  float value_bias[kTileRows];
  int token[kTileRows];  // the first one that sees it
};

// This says how many rows of a piece are in a tile, and where keys and values
// start.
struct RowsInTile {
  int count;
  int keys;
  int values;
};

__device__ __forceinline__ int LastBits(const uint8_t* at) {
  return static_cast<int>(reinterpret_cast<uintptr_t>(at) % kCopyBytes);
}

// Returns the room that so many bytes take, wherever they start.
__device__ __forceinline__ int RoomFor(int64_t bytes) {
  return static_cast<int>((bytes + 2 * kCopyBytes - 2) / kCopyBytes *
                          kCopyBytes);
}

// Starts to copy, by all threads of the block. Returns how far behind `to`, a
// multiple of kCopyBytes, the first byte comes to lie. It reads no byte behind
// the last one, but may read those of the first copy that lie before the first
// byte.
template <int kThreads>
__device__ __forceinline__ int CopyBytes(const uint8_t* from, int64_t bytes,
                                         uint8_t* to) {
  const int lead = LastBits(from);
  const int end = static_cast<int>(bytes) + lead;
  from -= lead;
#pragma unroll 1
  for (int at = threadIdx.x * kCopyBytes; at < end;
       at += kThreads * kCopyBytes) {
    const int left = end - at;
    CopyAsync(from + at, left < kCopyBytes ? left : kCopyBytes, to + at);
  }
  return lead;
}

// Returns number `at`, or `otherwise` where there are none.
template <class T>
__device__ __forceinline__ void CopyNumber(const T* from, int at, T otherwise,
                                           T* to) {
  if (from == nullptr) {
    *to = otherwise;
  } else {
    __pipeline_memcpy_async(to, from + at, sizeof(T));
  }
}

// Starts to copy rows from `first` on, up to `most` of them, in one group of
// copies.
template <int kThreads>
__device__ RowsInTile FillTile(const AttentionPiece& piece, int first, int most,
                               StoredTile& tile) {
  const int left = piece.rows - first, count = left < most ? left : most;
  RowsInTile rows = {count, 0, RoomFor(count * piece.key_bytes)};
  rows.keys += CopyBytes<kThreads>(piece.keys + first * piece.key_bytes,
                                   count * piece.key_bytes, tile.bytes);
  if (piece.values != nullptr) {
    rows.values += CopyBytes<kThreads>(piece.values + first * piece.value_bytes,
                                       count * piece.value_bytes,
                                       tile.bytes + rows.values);
  }
  const int row = threadIdx.x;
  if (row < rows.count) {
    CopyNumber(piece.partition_bias, first + row, 0.0f,
               &tile.partition_bias[row]);
    CopyNumber(piece.value_bias, first + row, 0.0f, &tile.value_bias[row]);
    CopyNumber(piece.row_token, first + row, INT_MIN, &tile.token[row]);
  }
  __pipeline_commit();
  return rows;
}

}  // namespace subgen::cuda
