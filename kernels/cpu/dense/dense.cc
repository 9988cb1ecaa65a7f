#include "kernels/cpu/dense/dense.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/cpu/dense/linear.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/dense/dense.cc"
#include "kernels/cpu/simd/simd.h"
// The order matters: the targets come first, then this file once for each of
// them, then the operations.
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/dense/dense_rows-inl.h"

#if HWY_ONCE
namespace subgen::cpu {
namespace {

HWY_EXPORT(NormRow);
HWY_EXPORT(SiluRow);
HWY_EXPORT(AddToRow);
HWY_EXPORT(RotateHead);

// Calls `work` for the rows of a matrix, each on some thread.
template <class Work>
void ForRows(Context& context, int64_t rows, int64_t cols, Work work) {
  context.Run(rows, rows * cols, [&](int64_t row, int) { work(row); });
}

bool SameAngles(const Rotary& x, const Rotary& y) {
  return x.magnitude == y.magnitude &&
         x.inverse_frequency == y.inverse_frequency;
}

}  // namespace

void Embed(Context& context, const WeightMatrix& table, Vector<const int> ids,
           const PackedWeights& packed, Matrix<float> output) {
  SUBGEN_CHECK(output.cols == table.cols &&
               output.rows == static_cast<int64_t>(ids.size()));
  const std::byte* const tiles = packed.Find(table);
  ForRows(context, output.rows, output.cols, [&](int64_t i) {
    if (tiles == nullptr) return ExpandRow(table, ids[i], output.row(i));
    SUBGEN_CHECK(ids[i] >= 0 && ids[i] < table.rows, ids[i]);
    std::vector<std::byte> blocks(table.row_bytes());
    UnpackRow(table, tiles, ids[i], blocks.data());
    ExpandRow({table.format, blocks.data(), 1, table.cols, table.row_bytes()},
              0, output.row(i));
  });
}

void RmsNorm(Context& context, Matrix<const float> input,
             Vector<const float> gain, float epsilon, Matrix<float> output) {
  SUBGEN_CHECK(static_cast<int64_t>(gain.size()) == input.cols &&
               output.cols == input.cols && output.rows == input.rows);
  ForRows(context, input.rows, input.cols, [&](int64_t i) {
    HWY_DYNAMIC_DISPATCH(NormRow)
    (input.row(i), gain, epsilon, output.row(i).data());
  });
}

void GatedSilu(Context& context, Matrix<const float> up, Matrix<float> gate) {
  SUBGEN_CHECK(up.rows == gate.rows && up.cols == gate.cols);
  constexpr int64_t kExponential = 8;  // multiply-adds that take as long
  ForRows(context, gate.rows, kExponential * gate.cols, [&](int64_t i) {
    HWY_DYNAMIC_DISPATCH(SiluRow)(up.row(i), gate.row(i).data());
  });
}

void Add(Context& context, Matrix<const float> x, Matrix<float> accumulator) {
  SUBGEN_CHECK(x.rows == accumulator.rows && x.cols == accumulator.cols);
  ForRows(context, x.rows, x.cols, [&](int64_t i) {
    HWY_DYNAMIC_DISPATCH(AddToRow)(x.row(i), accumulator.row(i).data());
  });
}

void AddRmsNorm(Context& context, const Sum& sum, Vector<const float> gain,
                float epsilon, Matrix<float> output) {
  const auto& [x, accumulator] = sum;
  SUBGEN_CHECK(x.rows == accumulator.rows && x.cols == accumulator.cols &&
               static_cast<int64_t>(gain.size()) == x.cols &&
               output.cols == x.cols && output.rows == x.rows);
  ForRows(context, x.rows, x.cols, [&](int64_t i) {
    const Vector<float> row = accumulator.row(i);
    HWY_DYNAMIC_DISPATCH(AddToRow)(x.row(i), row.data());
    HWY_DYNAMIC_DISPATCH(NormRow)(row, gain, epsilon, output.row(i).data());
  });
}

void AddRow(Context& context, Vector<const float> row, Matrix<float> matrix) {
  SUBGEN_CHECK(static_cast<int64_t>(row.size()) == matrix.cols);
  ForRows(context, matrix.rows, matrix.cols, [&](int64_t i) {
    HWY_DYNAMIC_DISPATCH(AddToRow)(row, matrix.row(i).data());
  });
}

void Rotation::Prepare(const Rotary& rotary, Vector<const int64_t> positions) {
  if (SameAngles(rotary, rotary_) &&
      std::equal(positions.begin(), positions.end(), positions_.begin(),
                 positions_.end())) {
    return;
  }
  rotary_ = rotary;
  positions_.assign(positions.begin(), positions.end());
  cosines_.clear();
  sines_.clear();
  for (const int64_t position : positions) {
    for (const double frequency : rotary.inverse_frequency) {
      const double angle = position * frequency;
      cosines_.push_back(
          static_cast<float>(std::cos(angle) * rotary.magnitude));
      sines_.push_back(static_cast<float>(std::sin(angle) * rotary.magnitude));
    }
  }
}

void Rotation::Rotate(Context& context, const Rotary& rotary,
                      Vector<const int64_t> positions, int64_t head_dim,
                      Matrix<float> heads) {
  const int64_t pairs = rotary.inverse_frequency.size();
  SUBGEN_CHECK(2 * pairs <= head_dim && heads.cols % head_dim == 0 &&
               static_cast<int64_t>(positions.size()) == heads.rows);
  Prepare(rotary, positions);
  ForRows(context, heads.rows, heads.cols, [&](int64_t i) {
    const RotaryAngles angles{&cosines_[i * pairs], &sines_[i * pairs], pairs,
                              rotary.interleaved};
    for (int64_t first = 0; first < heads.cols; first += head_dim) {
      HWY_DYNAMIC_DISPATCH(RotateHead)(angles, heads.row(i).data() + first);
    }
  });
}

}  // namespace subgen::cpu
#endif
