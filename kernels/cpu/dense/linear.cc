#include "kernels/cpu/dense/linear.h"

#include <algorithm>
#include <vector>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/dense/linear.cc"
#include "kernels/cpu/simd/simd.h"
// The order matters: the targets come first, then this file once for each of
// them, then the operations.
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/dense/quantize-inl.h"
#include "kernels/cpu/simd/product-inl.h"
#include "kernels/cpu/tiles/instruction_sets.h"
#include "kernels/cpu/tiles/linear_part.h"

HWY_BEFORE_NAMESPACE();
namespace subgen::cpu::HWY_NAMESPACE {

// Expands a tile of at most `most_rows` weight rows and kLength columns, which
// stays in the nearest caches, and multiplies it by every token.
void LinearRows(const LinearPart& part, int64_t most_rows, float* tile) {
  const WeightMatrix& weight = *part.weight;
  for (int64_t i = 0; i < part.output.rows; ++i) {
    float* out = part.output.row(i).data() + part.first;
    std::fill(out, out + part.count, 0.0f);
  }
  const int64_t block_bytes = BlockBytes(weight.format);
  const int64_t block_size = BlockSize(weight.format);
  for (int64_t row = 0; row < part.count; row += most_rows) {
    const int64_t rows = std::min(most_rows, part.count - row);
    // Columns are taken in one order for every token, so that a token has the
    // same bits in every batch.
    for (int64_t k = 0; k < weight.cols; k += LinearPart::kLength) {
      const int64_t length = std::min(LinearPart::kLength, weight.cols - k);
      for (int64_t i = 0; i < rows; ++i) {
        Expand(weight.format,
               weight.row(part.first + row + i) + k / block_size * block_bytes,
               length, tile + i * LinearPart::kLength);
      }
      Dot({{part.input.data + k, part.input.stride},
           {tile, LinearPart::kLength},
           length,
           {part.output.data + part.first + row, part.output.stride}},
          part.input.rows, rows);
    }
  }
}

void ExpandWhole(const WeightMatrix& table, int64_t row, float* out) {
  Expand(table.format, table.row(row), table.cols, out);
}

}  // namespace subgen::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace subgen::cpu {
namespace {

HWY_EXPORT(LinearRows);
HWY_EXPORT(ExpandWhole);
HWY_EXPORT(QuantizeToken);

int64_t RoundUp(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

// Returns the products, each as one part.
std::vector<LinearPart> WholesOf(const PackedWeights& packed,
                                 Matrix<const float> input,
                                 Vector<const LinearProduct> products) {
  std::vector<LinearPart> wholes;
  wholes.reserve(products.size());
  for (const LinearProduct& product : products) {
    const WeightMatrix& weight = *product.weight;
    SUBGEN_CHECK(input.cols == weight.cols &&
                 product.output.cols == weight.rows &&
                 input.rows == product.output.rows);
    wholes.push_back({input, &weight, product.output, 0, weight.rows,
                      KernelOf(weight), packed.Find(weight)});
  }
  return wholes;
}

// Cuts products into parts of whole multiples of `multiple` rows, a few for
// each thread, so that uneven ones even out. All products are cut by one step,
// as threads take parts of all of them in one loop.
std::vector<LinearPart> Cut(const std::vector<LinearPart>& wholes, int threads,
                            int64_t multiple) {
  // More parts were slower and fewer no faster (MEASURED.md).
  constexpr int64_t kPartsOfThread = 2, kMostRows = 256;
  int64_t rows = 0;
  for (const LinearPart& whole : wholes) rows += whole.count;
  const int64_t share =
      threads == 1 ? rows
                   : std::min(rows / (kPartsOfThread * threads), kMostRows);
  const int64_t step = RoundUp(std::max<int64_t>(share, 1), multiple);
  std::vector<LinearPart> parts;
  parts.reserve(rows / step + wholes.size());
  for (const LinearPart& whole : wholes) {
    for (int64_t first = 0; first < whole.count; first += step) {
      parts.push_back(whole);
      parts.back().first = first;
      parts.back().count = std::min(step, whole.count - first);
    }
  }
  return parts;
}

// Prepares tokens for the tiles of the products, in the context's results.
// Tiles of integers take them rounded, once for all products. Tiles of floats
// take them as they are; but many tokens that lie a power of two apart share
// few sets of a cache, so these are copied to an odd number of cache lines
// apart.
QuantizedTokens Prepare(Context& context, const TileSet* set,
                        Matrix<const float> input,
                        std::vector<LinearPart>& wholes) {
  bool integers = false, floats = false;
  for (const LinearPart& whole : wholes) {
    integers = integers || whole.kernel == LinearKernel::kIntegerTiles;
    floats = floats || (whole.kernel == LinearKernel::kFloatTiles &&
                        input.rows >= TileSet::kManyForFloats);
  }
  const int64_t quantized =
      integers ? QuantizedTokens::Floats(input.rows, input.cols) : 0;
  const int64_t stride = (RoundUp(input.cols, 16) / 16 | 1) * 16;
  float* const memory =
      context.results.Get(quantized + (floats ? input.rows * stride : 0));
  const QuantizedTokens tokens(memory, input.cols);
  const Matrix<float> copy = {memory + quantized, input.rows, input.cols,
                              stride};
  if (!integers && !floats) return tokens;
  constexpr int64_t kRounding = 4;  // multiply-adds that a number takes
  context.Run(
      input.rows, kRounding * input.rows * input.cols, [&](int64_t i, int) {
        if (integers) {
          HWY_DYNAMIC_DISPATCH(QuantizeToken)
          (input.row(i), set->order, tokens.token(i));
        }
        if (floats) {
          std::copy_n(input.row(i).data(), input.cols, copy.row(i).data());
        }
      });
  for (LinearPart& whole : wholes) {
    if (floats && whole.kernel == LinearKernel::kFloatTiles) whole.input = copy;
  }
  return tokens;
}

}  // namespace

LinearKernel KernelOf(const WeightMatrix& weight) {
  // Matrices in F32, and rows too short to gain by tiles, are expanded too
  // (SuitsTiles).
  if (InstructionSetInUse().tiles == nullptr || !SuitsTiles(weight)) {
    return LinearKernel::kExpanded;
  }
  return BlockSize(weight.format) == 1 ? LinearKernel::kFloatTiles
                                       : LinearKernel::kIntegerTiles;
}

void KeepWeight(Context& context, const WeightMatrix& weight,
                PackedWeights& packed) {
  if (KernelOf(weight) != LinearKernel::kExpanded) {
    packed.Keep(weight, context.pool);
  }
}

void Linears(Context& context, const PackedWeights& packed,
             Matrix<const float> input, Vector<const LinearProduct> products) {
  const TileSet* const set = InstructionSetInUse().tiles;
  std::vector<LinearPart> wholes = WholesOf(packed, input, products);
  const QuantizedTokens tokens = Prepare(context, set, input, wholes);
  int64_t weights = 0;
  for (const LinearPart& whole : wholes) weights += whole.count * input.cols;
  // Expanded rows must stay in a cache while tokens use them: for few tokens 16
  // rows of 512 floats, a first-level cache; for more of them 32 rows, an
  // eighth of a second-level cache of 512 KiB.
  const int64_t tile = input.rows < 4 ? 16 : 32;
  const std::vector<LinearPart> parts =
      Cut(wholes, context.pool.threads(), tile);
  context.Run(parts.size(), input.rows * weights, [&](int64_t i, int worker) {
    const LinearPart& part = parts[i];
    Scratch& scratch = context.worker_scratch[worker];
    if (part.kernel != LinearKernel::kExpanded) {
      const int64_t bytes = TileSet::ScratchBytes(part);
      set->multiply(
          part, tokens,
          reinterpret_cast<std::byte*>(scratch.Get(bytes / sizeof(float))));
    } else {
      HWY_DYNAMIC_DISPATCH(LinearRows)
      (part, tile, scratch.Get(tile * LinearPart::kLength));
    }
  });
}

void ExpandRow(const WeightMatrix& table, int64_t row, Vector<float> out) {
  SUBGEN_CHECK(row >= 0 && row < table.rows, row);
  SUBGEN_CHECK(static_cast<int64_t>(out.size()) == table.cols);
  HWY_DYNAMIC_DISPATCH(ExpandWhole)(table, row, out.data());
}

}  // namespace subgen::cpu
#endif
