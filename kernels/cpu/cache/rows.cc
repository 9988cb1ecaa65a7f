#include "kernels/cpu/cache/rows.h"

#include <algorithm>
#include <vector>

#include "kernels/reference/rows.h"

namespace subgen::cpu {

void ConvertRows(Context& context, Vector<const RowCopy> copies) {
  constexpr int64_t kRowsOfPiece = 64;
  std::vector<RowCopy> pieces;
  int64_t numbers = 0;
  for (const RowCopy& copy : copies) {
    numbers += copy.from.count * copy.from.dim;
    for (int64_t first = 0; first < copy.from.count; first += kRowsOfPiece) {
      RowCopy piece = copy;
      piece.from.data = copy.from.row(first);
      piece.from.count = std::min(kRowsOfPiece, copy.from.count - first);
      piece.to += first * RowBytes(copy.format, copy.from.dim);
      pieces.push_back(piece);
    }
  }
  context.Run(pieces.size(), numbers,
              [&](int64_t i, int) { reference::ConvertRows(pieces[i]); });
}

}  // namespace subgen::cpu
