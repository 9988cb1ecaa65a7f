#include "kernels/top_numbers.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace subgen {

void CheckTop(Matrix<const float> rows, Vector<const float> scales,
              Matrix<const float> output) {
  const int64_t most = TopMost(output.cols);
  SUBGEN_CHECK(most >= 1 && most <= kMostTop && output.cols == TopWidth(most) &&
               output.rows == rows.rows &&
               static_cast<int64_t>(scales.size()) == rows.rows);
}

RowTop ReadTop(Vector<const float> packed, int64_t columns) {
  const int64_t most = TopMost(packed.size());
  RowTop top;
  top.columns = columns;
  for (int64_t i = 0; i < std::min(most, columns); ++i) {
    top.best.push_back({packed[i], std::bit_cast<int>(packed[most + i])});
  }
  top.sum = packed[2 * most];
  top.finite = packed[2 * most + 1] != 0.0f;
  return top;
}

void WriteTop(const RowTop& top, Vector<float> packed) {
  const int64_t most = TopMost(packed.size());
  const int64_t count = top.best.size();
  for (int64_t i = 0; i < most; ++i) {
    packed[i] =
        i < count ? top.best[i].value : -std::numeric_limits<float>::infinity();
    packed[most + i] =
        std::bit_cast<float>(i < count ? top.best[i].column : -1);
  }
  packed[2 * most] = static_cast<float>(top.sum);
  packed[2 * most + 1] = top.finite ? 1.0f : 0.0f;
}

RowTop MergeTops(Vector<const TopPart> parts, float scale) {
  RowTop merged;
  std::vector<RowTop> tops;
  for (const TopPart& part : parts) {
    RowTop top = ReadTop(part.packed, part.columns);
    merged.finite &= top.finite;
    for (TopNumber& number : top.best) {
      number.column += static_cast<int>(merged.columns);
      merged.best.push_back(number);
    }
    merged.columns += part.columns;
    if (!top.best.empty()) tops.push_back(std::move(top));
  }
  if (merged.best.empty()) return merged;
  const int64_t most = TopMost(parts[0].packed.size());
  std::sort(merged.best.begin(), merged.best.end(), IsBefore);
  merged.best.resize(std::min(most, merged.columns));
  for (const RowTop& top : tops) {
    if (scale == 0.0f) break;
    const double below = merged.best[0].value - double{top.best[0].value};
    merged.sum += top.sum * std::exp(-scale * below);
  }
  return merged;
}

void TopList::Add(const TopNumber& number) {
  if (static_cast<int64_t>(best_.size()) == most_) best_.pop_back();
  best_.insert(std::upper_bound(best_.begin(), best_.end(), number, IsBefore),
               number);
}

}  // namespace subgen
