// Cuts row copies and distances into pieces for blocks of a device.
#pragma once

#include "kernels/cuda/cache/distances.h"
#include "kernels/cuda/cache/row_copies.h"
#include "kernels/cuda/runtime/pieces.h"
#include "kernels/row_ops.h"

namespace subgen::cuda {

// These add the pieces of a task and put operands into the operation.
void AddPieces(const RowCopy& copy, Operation* operation,
               PiecesByFormat<RowCopyPiece>* pieces);
void AddPieces(const DistanceTask& task, Operation* operation,
               PiecesByFormat<DistancePiece>* pieces);

}  // namespace subgen::cuda
