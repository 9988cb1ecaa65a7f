// Computes products of a warp on tensor cores, with operands in registers as
// the PTX ISA lays them out (mma.m16n8k16 and ldmatrix). All lanes of a warp
// call each of these together, with addresses in shared memory that are
// multiples of 16 bytes.
//
// Lane l of a product has, with row = l / 4 and column = l % 4 * 2,
//   of the left 16 x 16:  pairs (row, column), (row + 8, column),
//                               (row, column + 8), (row + 8, column + 8)
//   of the right 16 x 8:  pairs down its column l / 4, from rows `column` and
//                               `column` + 8
//   of the sums, 16 x 8:  (row, column), (row, column + 1),
//                         (row + 8, column), (row + 8, column + 1)
// where a pair (i, j) is the numbers j and j + 1 of row i in bf16, the first
// one in the low half.
#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <cstdint>
#include <cstring>

namespace subgen::cuda {

// Rounds two numbers to the nearest, ties to even.
__device__ __forceinline__ uint32_t PairOfBF16(float low, float high) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  uint32_t bits;
  memcpy(&bits, &pair, 4);
  return bits;
}

// Computes sums += left right, the right factor as its two pairs.
__device__ __forceinline__ void AddProduct(const uint32_t (&left)[4],
                                           uint32_t right_low,
                                           uint32_t right_high,
                                           float (&sums)[4]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
      : "r"(left[0]), "r"(left[1]), "r"(left[2]), "r"(left[3]), "r"(right_low),
        "r"(right_high));
}

// Loads four 8 x 8 matrices. Lane l gives the address of row l % 8 of matrix l
// / 8; its part of matrix m is the pair (l / 4, l % 4 * 2).
__device__ __forceinline__ void LoadMatrices(const uint16_t* row,
                                             uint32_t (&matrices)[4]) {
  asm volatile(
      "ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
      : "=r"(matrices[0]), "=r"(matrices[1]), "=r"(matrices[2]),
        "=r"(matrices[3])
      : "r"(static_cast<uint32_t>(__cvta_generic_to_shared(row))));
}

// Loads their transposes in the same way.
__device__ __forceinline__ void LoadTransposes(const uint16_t* row,
                                               uint32_t (&matrices)[4]) {
  asm volatile(
      "ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
      : "=r"(matrices[0]), "=r"(matrices[1]), "=r"(matrices[2]),
        "=r"(matrices[3])
      : "r"(static_cast<uint32_t>(__cvta_generic_to_shared(row))));
}

}  // namespace subgen::cuda
