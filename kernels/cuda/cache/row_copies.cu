#include "kernels/cuda/cache/row_copies.h"
#include "kernels/cuda/device/quantize.h"
#include "kernels/cuda/device/row_products.h"
#include "kernels/cuda/runtime/launch.h"

namespace subgen::cuda {
namespace {

constexpr int kThreads = 128;

__device__ void CopyBytes(const RowCopyPiece& piece) {
  for (int64_t i = threadIdx.x; i < piece.count * piece.to_bytes;
       i += kThreads) {
    piece.to[i] = piece.from[i];
  }
}

__device__ void Store(RowFormat format, float x, uint8_t* row, int at) {
  if (format == RowFormat::kF32) {
    reinterpret_cast<float*>(row)[at] = x;
  } else {
    reinterpret_cast<uint16_t*>(row)[at] =
        format == RowFormat::kBF16 ? ToBF16(x) : ToF16(x);
  }
}

template <RowFormat from>
__device__ float NumberAt(const uint8_t* row, int i) {
  if constexpr (from == RowFormat::kF32) {
    return reinterpret_cast<const float*>(row)[i];
  } else {
    return FromHalf<from>(Load2(row + 2 * i));
  }
}

// Eight lanes take a block of a row; those beyond the last block do what those
// of the first do, as all lanes of a warp must take part.
template <RowFormat from>
__device__ void Quantize(const RowCopyPiece& piece) {
  constexpr int kAtOnce = kThreads / kBlockLanes;
  const int of_row = piece.dim / piece.block, all = piece.count * of_row;
  const int64_t block_bytes = piece.to_bytes / of_row;
  for (int first = 0; first < all; first += kAtOnce) {
    const int at = first + static_cast<int>(threadIdx.x) / kBlockLanes;
    const int item = at < all ? at : 0;
    const int row = item / of_row, in_row = item % of_row;
    BlockShare block;
    block.count = piece.block / kBlockLanes;
    for (int j = 0; j < block.count; ++j) {
      block.numbers[j] =
          NumberAt<from>(piece.from + row * piece.from_bytes,
                         in_row * piece.block + j * kBlockLanes + block.lane());
    }
    EncodeBlock(piece.format, block, at < all,
                piece.to + row * piece.to_bytes + in_row * block_bytes);
  }
}

template <RowFormat from>
__global__ void __launch_bounds__(kThreads) Copy(const RowCopyPiece* pieces) {
  const RowCopyPiece piece = pieces[blockIdx.x];
  if (from == piece.format) return CopyBytes(piece);
  if constexpr (from < RowFormat::kQ8) {
    if (piece.format >= RowFormat::kQ8) return Quantize<from>(piece);
  }
  const int runs = (piece.dim + kRun - 1) / kRun;
  for (int i = threadIdx.x; i < piece.count * runs; i += kThreads) {
    const int row = i / runs, first = i % runs * kRun;
    float numbers[kRun];
    LoadRow8<from>(piece.from + row * piece.from_bytes, piece.dim, first,
                   numbers);
    for (int j = 0; j < kRun && first + j < piece.dim; ++j) {
      Store(piece.format, numbers[j], piece.to + row * piece.to_bytes,
            first + j);
    }
  }
}

}  // namespace

void CopyRowPieces(Queue* queue, RowFormat from, const RowCopyPiece* pieces,
                   int64_t count) {
  WithRowFormat(from, [&]<RowFormat format>() {
    Launch(queue, {count, kThreads}, Copy<format>, pieces);
  });
}

}  // namespace subgen::cuda
