// How the tasks of one call are shared out: into pieces, by their sizes and the
// number of threads only.
#pragma once

#include <cstddef>
#include <vector>

#include "kernels/cpu/attention_piece.h"

namespace subgen::cpu {

// Shapes that do not fit together are bugs.
void Check(const AttentionTask& task);
void Check(const AttentionMassTask& task);

// In the order of tasks, queries, rows. Rows that no query of a piece sees are
// left out.
std::vector<Piece> Cut(Vector<const AttentionTask> tasks, int threads);

// In the order of tasks and rows, each with all queries.
std::vector<Piece> Cut(Vector<const AttentionMassTask> tasks, int threads);

// Indices of pieces whose tasks write to the same memory, each list in order.
std::vector<std::vector<size_t>> ByOutput(Vector<const AttentionTask> tasks,
                                          const std::vector<Piece>& pieces);

}  // namespace subgen::cpu
