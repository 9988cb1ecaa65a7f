#include "kernels/cuda/cache/row_plan.h"

#include <algorithm>

#include "kernels/cuda/device/head_dim.h"

namespace subgen::cuda {

void AddPieces(const RowCopy& copy, Operation* operation,
               PiecesByFormat<RowCopyPiece>* pieces) {
  const Rows& from = copy.from;
  RowCopyPiece piece;
  piece.dim = static_cast<int>(from.dim);
  piece.format = copy.format;
  piece.block = static_cast<int>(RowBlock(copy.format, from.dim));
  piece.from_bytes = RowBytes(from.format, from.dim);
  piece.to_bytes = RowBytes(copy.format, from.dim);
  piece.from = operation->InBytes(from.data, from.count * piece.from_bytes);
  piece.to = operation->OutBytes(copy.to, copy.to_bytes());
  // No rows become an empty piece, so that the list of commands stays as it is.
  for (int64_t row = 0; row == 0 || row < from.count; row += kRowsOfPiece) {
    piece.count =
        static_cast<int>(std::min<int64_t>(kRowsOfPiece, from.count - row));
    (*pieces)[from.format].push_back(piece);
    piece.from += kRowsOfPiece * piece.from_bytes;
    piece.to += kRowsOfPiece * piece.to_bytes;
  }
}

void AddPieces(const DistanceTask& task, Operation* operation,
               PiecesByFormat<DistancePiece>* pieces) {
  const Rows& rows = task.rows;
  SUBGEN_CHECK(static_cast<int64_t>(task.squared.size()) == rows.count &&
               rows.dim <= kMostHeadDim);
  if (rows.count == 0) return;
  DistancePiece piece;
  piece.point = operation->In(task.point);
  piece.row_bytes = RowBytes(rows.format, rows.dim);
  piece.rows = operation->InBytes(rows.data, rows.count * piece.row_bytes);
  piece.dim = static_cast<int>(rows.dim);
  piece.directions = task.directions;
  piece.squared = operation->Out(task.squared);
  for (int64_t row = 0; row < rows.count; row += kDistanceRows) {
    piece.count =
        static_cast<int>(std::min<int64_t>(kDistanceRows, rows.count - row));
    (*pieces)[rows.format].push_back(piece);
    piece.rows += kDistanceRows * piece.row_bytes;
    piece.squared += kDistanceRows;
  }
}

}  // namespace subgen::cuda
