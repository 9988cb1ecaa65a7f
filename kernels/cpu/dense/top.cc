#include "kernels/cpu/dense/top.h"

#include <algorithm>
#include <vector>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/dense/top.cc"
#include "kernels/cpu/simd/simd.h"
// The order matters: the targets come first, then this file once for each of
// them, then the operations.
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/dense/top-inl.h"

#if HWY_ONCE
namespace subgen::cpu {
namespace {

HWY_EXPORT(ShowNumbers);
HWY_EXPORT(ExponentialSum);

constexpr int64_t kColumnsOfPiece = 8192;

void TopOfPiece(Vector<const float> x, float scale, Vector<float> packed) {
  TopList list(TopMost(packed.size()));
  RowTop top;
  top.finite = HWY_DYNAMIC_DISPATCH(ShowNumbers)(x, 0, &list);
  top.best = std::move(list.best());
  if (scale != 0.0f && !top.best.empty()) {
    top.sum = HWY_DYNAMIC_DISPATCH(ExponentialSum)(x, scale, top.best[0].value);
  }
  WriteTop(top, packed);
}

}  // namespace

void Top(Context& context, Matrix<const float> rows, Vector<const float> scales,
         Matrix<float> output) {
  CheckTop(rows, scales, output);
  const int64_t width = output.cols;
  const int64_t pieces =
      std::max<int64_t>(1, (rows.cols + kColumnsOfPiece - 1) / kColumnsOfPiece);
  std::vector<float> packed(rows.rows * pieces * width);
  std::vector<TopPart> parts(rows.rows * pieces);
  context.Run(parts.size(), rows.rows * rows.cols, [&](int64_t i, int) {
    const int64_t row = i / pieces, first = i % pieces * kColumnsOfPiece;
    const Vector<const float> x = rows.row(row).subspan(
        first, std::min(kColumnsOfPiece, rows.cols - first));
    const Vector<float> out(&packed[i * width], width);
    TopOfPiece(x, scales[row], out);
    parts[i] = {out, static_cast<int64_t>(x.size())};
  });
  for (int64_t row = 0; row < rows.rows; ++row) {
    const Vector<const TopPart> of_row(&parts[row * pieces], pieces);
    WriteTop(MergeTops(of_row, scales[row]), output.row(row));
  }
}

}  // namespace subgen::cpu
#endif
