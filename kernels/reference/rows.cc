#include "kernels/reference/rows.h"

namespace subgen::reference {

void ConvertRows(const RowCopy& copy) {
  const Rows& from = copy.from;
  const int64_t bytes = RowBytes(copy.format, from.dim);
  for (int64_t i = 0; i < from.count; ++i) {
    ConvertRow(from.format, from.row(i), from.dim, copy.format,
               copy.to + i * bytes);
  }
}

}  // namespace subgen::reference
