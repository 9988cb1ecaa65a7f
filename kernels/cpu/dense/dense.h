// These are the dense operations beside Linear. They are bound by memory, and
// use threads where the matrix does not fit into a cache.
#pragma once

#include <vector>

#include "kernels/cpu/threads/context.h"
#include "kernels/cpu/tiles/packed_weights.h"
#include "kernels/quant/block_format.h"
#include "kernels/rotary.h"

namespace subgen::cpu {

// Reads the packed table where there is one, as in a model whose embedding is
// its unembedding too; the file's pages are then not read again.
void Embed(Context& context, const WeightMatrix& table, Vector<const int> ids,
           const PackedWeights& packed, Matrix<float> output);
void RmsNorm(Context& context, Matrix<const float> input,
             Vector<const float> gain, float epsilon, Matrix<float> output);
void GatedSilu(Context& context, Matrix<const float> up, Matrix<float> gate);
void Add(Context& context, Matrix<const float> x, Matrix<float> accumulator);
// Stands for accumulator += x.
struct Sum {
  Matrix<const float> x;
  Matrix<float> accumulator;
};
void AddRmsNorm(Context& context, const Sum& sum, Vector<const float> gain,
                float epsilon, Matrix<float> output);
void AddRow(Context& context, Vector<const float> row, Matrix<float> matrix);

// Rotates heads. It remembers the angles of the last call, because all layers
// of a step rotate by the same ones.
class Rotation {
 public:
  void Rotate(Context& context, const Rotary& rotary,
              Vector<const int64_t> positions, int64_t head_dim,
              Matrix<float> heads);

 private:
  void Prepare(const Rotary& rotary, Vector<const int64_t> positions);

  Rotary rotary_;
  std::vector<int64_t> positions_;
  std::vector<float> cosines_;  // [tokens, pairs], times the magnitude
  std::vector<float> sines_;
};

}  // namespace subgen::cpu
