// Row copies and distances cut into pieces for blocks of a device.
#pragma once

#include "kernels/backend.h"
#include "kernels/cuda/clustering.h"
#include "kernels/cuda/pieces.h"
#include "kernels/cuda/row_copies.h"

namespace subgen::cuda {

// Operands are put into the staging.
void AddPieces(const RowCopy& copy, Staging* staging,
               PiecesByFormat<RowCopyPiece>* pieces);
void AddPieces(const DistanceTask& task, Staging* staging,
               PiecesByFormat<DistancePiece>* pieces);

}  // namespace subgen::cuda
