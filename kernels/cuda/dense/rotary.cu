#include "kernels/cuda/dense/rotary.h"
#include "kernels/cuda/device/element_wise.h"
#include "kernels/cuda/device/head_rows.h"

namespace subgen::cuda {
namespace {

struct Pair {
  float x, y;
};

__device__ __forceinline__ Pair Rotated(Pair pair, double angle,
                                        double magnitude) {
  const double cosine = cos(angle) * magnitude;
  const double sine = sin(angle) * magnitude;
  const double x = pair.x * cosine - pair.y * sine;
  const double y = pair.x * sine + pair.y * cosine;
  return {static_cast<float>(x), static_cast<float>(y)};
}

// Rotates one pair of a head per thread.
__global__ void RotateHeads(const double* inverse_frequency, int64_t pairs,
                            double magnitude, bool interleaved,
                            const int64_t* positions, int64_t head_dim,
                            Matrix<float> heads) {
  const int64_t of_row = heads.cols / head_dim * pairs;
  const int64_t element = Element();
  if (element >= heads.rows * of_row) return;
  const int64_t token = element / of_row;
  const int64_t head = element % of_row / pairs, pair = element % pairs;
  float* of_head = heads.data + token * heads.stride + head * head_dim;
  float& x = of_head[interleaved ? 2 * pair : pair];
  float& y = of_head[interleaved ? 2 * pair + 1 : pair + pairs];
  const Pair rotated =
      Rotated({x, y}, positions[token] * inverse_frequency[pair], magnitude);
  x = rotated.x;
  y = rotated.y;
}

// Takes one pair of a head per thread, or one number that is not rotated.
__global__ void TurnAndSplit(const HeadSplitPiece* pieces, int64_t threads) {
  int64_t element = Element();
  if (element >= threads) return;
  int64_t before = 0;
  while (element >= pieces->end) before = pieces++->end;
  element -= before;
  const HeadSplitPiece& piece = *pieces;
  const HeadLayout& layout = piece.layout;
  const RotaryAngles& angles = piece.angles;
  const int64_t heads = layout.kv_heads * layout.group;
  const int64_t of_head = layout.head_dim - angles.pairs;
  const int64_t token = element / (heads * of_head);
  const int64_t head = element / of_head % heads, at = element % of_head;
  const float* from = piece.token_major.data +
                      token * piece.token_major.stride + head * layout.head_dim;
  float* to = piece.head_major.data +
              HeadMajorRow(layout, head, token) * piece.head_major.stride;
  if (at >= angles.pairs) {
    const int64_t i = at + angles.pairs;
    to[i] = piece.scale * from[i];
    return;
  }
  const int64_t x = angles.interleaved ? 2 * at : at;
  const int64_t y = angles.interleaved ? 2 * at + 1 : at + angles.pairs;
  const Pair rotated = Rotated(
      {from[x], from[y]},
      angles.positions[token] * angles.inverse_frequency[at], angles.magnitude);
  to[x] = piece.scale * rotated.x;
  to[y] = piece.scale * rotated.y;
}

}  // namespace

void Rotate(Queue* queue, const RotaryAngles& angles, int64_t head_dim,
            Matrix<float> heads) {
  Launch(queue,
         ElementWise(heads.rows * (heads.cols / head_dim) * angles.pairs),
         RotateHeads, angles.inverse_frequency, angles.pairs, angles.magnitude,
         angles.interleaved, angles.positions, head_dim, heads);
}

void SplitHeads(Queue* queue, const HeadSplitPiece* pieces, int64_t threads) {
  Launch(queue, ElementWise(threads), TurnAndSplit, pieces, threads);
}

}  // namespace subgen::cuda
