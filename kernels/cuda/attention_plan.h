// Attention tasks cut into pieces for blocks of a device.
#pragma once

#include <map>
#include <vector>

#include "kernels/backend.h"
#include "kernels/cuda/attention.h"
#include "kernels/cuda/staging.h"

namespace subgen::cuda {

// Pieces of one format, in an array of the device.
template <class Piece>
using PiecesByFormat = std::map<RowFormat, std::vector<Piece>>;

struct AttentionPlan {
  PiecesByFormat<AttentionPiece> pieces;
  std::vector<MergeTarget> targets;
};

// Operands are put into `staging`. Rows are cut so that about `blocks` blocks
// are busy. Tasks over several sets of the same queries become one target.
AttentionPlan PlanAttention(Vector<const AttentionTask> tasks, int64_t blocks,
                            Staging* staging);

// Rounds of pieces, of which no two of a round add to the same rows.
std::vector<PiecesByFormat<MassPiece>> PlanMass(
    Vector<const AttentionMassTask> tasks, Staging* staging);

}  // namespace subgen::cuda
