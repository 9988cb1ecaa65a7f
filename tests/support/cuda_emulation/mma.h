// Matrix products of a warp, 16 x 16 x 16: here each thread holds whole tiles.
#pragma once

#include <cuda_bf16.h>

#include <bit>
#include <type_traits>

namespace nvcuda::wmma {

struct matrix_a {};
struct matrix_b {};
struct accumulator {};
struct row_major {};
struct col_major {};
enum layout_t { mem_row_major, mem_col_major };

template <class Use, int M, int N, int K, class T, class Layout = void>
struct fragment {
  static_assert(M == 16 && N == 16 && K == 16);
  float tile[16][16];
};

template <class Fragment>
void fill_fragment(Fragment& to, float value) {
  for (auto& row : to.tile) {
    for (float& x : row) x = value;
  }
}

template <class Use, class Layout>
void load_matrix_sync(fragment<Use, 16, 16, 16, __nv_bfloat16, Layout>& to,
                      const __nv_bfloat16* from, unsigned stride) {
  for (unsigned i = 0; i < 16; ++i) {
    for (unsigned j = 0; j < 16; ++j) {
      const bool by_row = std::is_same_v<Layout, row_major>;
      const uint32_t bits = from[by_row ? i * stride + j : j * stride + i].bits;
      to.tile[i][j] = std::bit_cast<float>(bits << 16);
    }
  }
}

template <class A, class B, class C>
void mma_sync(C& to, const A& a, const B& b, const C& plus) {
  for (int i = 0; i < 16; ++i) {
    for (int j = 0; j < 16; ++j) {
      float sum = plus.tile[i][j];
      for (int k = 0; k < 16; ++k) sum += a.tile[i][k] * b.tile[k][j];
      to.tile[i][j] = sum;
    }
  }
}

// All threads write the same tile.
template <class C>
void store_matrix_sync(float* to, const C& from, unsigned stride, layout_t) {
  for (unsigned i = 0; i < 16; ++i) {
    for (unsigned j = 0; j < 16; ++j) to[i * stride + j] = from.tile[i][j];
  }
}

}  // namespace nvcuda::wmma
