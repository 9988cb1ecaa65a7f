// Row copies and distances cut into pieces for blocks of a device.
#pragma once

#include "kernels/backend.h"
#include "kernels/cuda/cache/distances.h"
#include "kernels/cuda/cache/row_copies.h"
#include "kernels/cuda/runtime/pieces.h"

namespace subgen::cuda {

// Operands are put into the staging.
void AddPieces(const RowCopy& copy, Staging* staging,
               PiecesByFormat<RowCopyPiece>* pieces);
void AddPieces(const DistanceTask& task, Staging* staging,
               PiecesByFormat<DistancePiece>* pieces);

}  // namespace subgen::cuda
