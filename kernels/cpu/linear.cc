#include "kernels/cpu/linear.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/linear.cc"
#include "kernels/cpu/simd.h"
// In this order: the targets, this file once for each, the operations.
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/integer_linear.h"
#include "kernels/cpu/linear_part.h"
#include "kernels/cpu/product-inl.h"

HWY_BEFORE_NAMESPACE();
namespace subgen::cpu::HWY_NAMESPACE {

// Expands a tile of at most part.tile weight rows and kLength columns, which
// stays in the nearest caches, and multiplies it with every token.
void LinearRows(const LinearPart& part, float* tile) {
  const WeightMatrix& weight = part.weight;
  for (int64_t i = 0; i < part.output.rows; ++i) {
    float* out = part.output.row(i).data() + part.first;
    std::fill(out, out + part.count, 0.0f);
  }
  const int64_t block_bytes = BlockBytes(weight.format);
  const int64_t block_size = BlockSize(weight.format);
  for (int64_t row = 0; row < part.count; row += part.tile) {
    const int64_t rows = std::min(part.tile, part.count - row);
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

// Integer products are for machines whose best target this is.
bool HasWideVectors() { return HWY_TARGET == HWY_AVX3; }

}  // namespace subgen::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace subgen::cpu {
namespace {

HWY_EXPORT(LinearRows);
HWY_EXPORT(ExpandWhole);
HWY_EXPORT(HasWideVectors);

int64_t RoundUp(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

// Calls work(part, worker) for parts of whole multiples of `multiple` rows.
template <class Work>
void ForParts(Context& context, LinearPart whole, int64_t multiple, Work work) {
  const int64_t rows = whole.weight.rows;
  const int threads = context.pool.threads();
  const int64_t share =
      threads == 1 ? rows : std::min<int64_t>(rows / (4 * threads), 256);
  const int64_t step = RoundUp(std::max<int64_t>(share, 1), multiple);
  context.Run((rows + step - 1) / step,
              whole.input.rows * rows * whole.weight.cols,
              [&](int64_t item, int worker) {
                LinearPart part = whole;
                part.first = item * step;
                part.count = std::min(step, rows - part.first);
                work(part, worker);
              });
}

void FloatLinear(Context& context, Matrix<const float> input,
                 const WeightMatrix& weight, Matrix<float> output) {
  // One token: 8 rows of 512 floats are a third of a first-level cache. Many:
  // 32 rows are an eighth of a second-level cache of 512 KiB.
  const int64_t tile = input.rows < 4 ? 8 : 32;
  ForParts(context, {input, weight, output, 0, 0, tile}, 8,
           [&](const LinearPart& part, int worker) {
             HWY_DYNAMIC_DISPATCH(LinearRows)
             (part,
              context.worker_scratch[worker].Get(tile * LinearPart::kLength));
           });
}

void IntegerLinear(Context& context, Matrix<const float> input,
                   const WeightMatrix& weight, Matrix<float> output) {
  const QuantizedTokens tokens(
      context.results.Get(QuantizedTokens::Floats(input.rows, input.cols)),
      input.cols);
  context.Run(input.rows, input.rows * input.cols, [&](int64_t i, int) {
    QuantizeToken(input.row(i), tokens.token(i));
  });
  ForParts(context, {input, weight, output}, 32,
           [&](const LinearPart& part, int worker) {
             IntegerLinearRows(
                 part, tokens,
                 context.worker_scratch[worker].Get(IntegerLinearScratch()));
           });
}

}  // namespace

void Linear(Context& context, Matrix<const float> input,
            const WeightMatrix& weight, Matrix<float> output) {
  SUBGEN_CHECK(input.cols == weight.cols && output.cols == weight.rows &&
               input.rows == output.rows);
  if (HWY_DYNAMIC_DISPATCH(HasWideVectors)() &&
      HasIntegerLinear(weight.format, weight.cols)) {
    IntegerLinear(context, input, weight, output);
  } else {
    FloatLinear(context, input, weight, output);
  }
}

void ExpandRow(const WeightMatrix& table, int64_t row, Vector<float> out) {
  SUBGEN_CHECK(row >= 0 && row < table.rows, row);
  SUBGEN_CHECK(static_cast<int64_t>(out.size()) == table.cols);
  HWY_DYNAMIC_DISPATCH(ExpandWhole)(table, row, out.data());
}

}  // namespace subgen::cpu
#endif
