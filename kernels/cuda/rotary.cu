#include "kernels/cuda/element_wise.h"
#include "kernels/cuda/head_rows.h"
#include "kernels/cuda/rotary.h"

namespace subgen::cuda {
namespace {

struct Pair {
  float x, y;
};

__device__ __forceinline__ Pair Turned(Pair pair, double angle,
                                       double magnitude) {
  const double cosine = cos(angle) * magnitude;
  const double sine = sin(angle) * magnitude;
  const double x = pair.x * cosine - pair.y * sine;
  const double y = pair.x * sine + pair.y * cosine;
  return {static_cast<float>(x), static_cast<float>(y)};
}

// A thread a pair of a head.
__global__ void Turn(const double* inverse_frequency, int64_t pairs,
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
  const Pair turned =
      Turned({x, y}, positions[token] * inverse_frequency[pair], magnitude);
  x = turned.x;
  y = turned.y;
}

// A thread a pair of a head, or a number that does not turn.
__global__ void TurnAndSplit(const double* inverse_frequency, int64_t pairs,
                             double magnitude, bool interleaved,
                             const int64_t* positions, HeadLayout layout,
                             Matrix<const float> token_major, float scale,
                             Matrix<float> head_major) {
  const int64_t heads = layout.kv_heads * layout.group;
  const int64_t of_head = layout.head_dim - pairs;
  const int64_t element = Element();
  if (element >= layout.tokens * heads * of_head) return;
  const int64_t token = element / (heads * of_head);
  const int64_t head = element / of_head % heads, at = element % of_head;
  const float* from =
      token_major.data + token * token_major.stride + head * layout.head_dim;
  float* to =
      head_major.data + HeadMajorRow(layout, head, token) * head_major.stride;
  if (at >= pairs) {
    to[at + pairs] = scale * from[at + pairs];
    return;
  }
  const int64_t x = interleaved ? 2 * at : at;
  const int64_t y = interleaved ? 2 * at + 1 : at + pairs;
  const Pair turned = Turned(
      {from[x], from[y]}, positions[token] * inverse_frequency[at], magnitude);
  to[x] = scale * turned.x;
  to[y] = scale * turned.y;
}

}  // namespace

void Rotate(Queue* queue, const RotaryAngles& angles, int64_t head_dim,
            Matrix<float> heads) {
  Launch(queue,
         ElementWise(heads.rows * (heads.cols / head_dim) * angles.pairs), Turn,
         angles.inverse_frequency, angles.pairs, angles.magnitude,
         angles.interleaved, angles.positions, head_dim, heads);
}

void RotateAndSplitHeads(Queue* queue, const RotaryAngles& angles,
                         const HeadSplit& split,
                         Matrix<const float> token_major,
                         Matrix<float> head_major) {
  const HeadLayout& layout = split.layout;
  Launch(queue, ElementWise(layout.rows() * (layout.head_dim - angles.pairs)),
         TurnAndSplit, angles.inverse_frequency, angles.pairs, angles.magnitude,
         angles.interleaved, angles.positions, layout, token_major, split.scale,
         head_major);
}

}  // namespace subgen::cuda
