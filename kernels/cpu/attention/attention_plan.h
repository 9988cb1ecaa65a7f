// The tasks of one call are cut into pieces by the sizes of each and the number
// of threads only. The cut decides the last bits of attention, so those of a
// sequence do not depend on what else is in the call.
#pragma once

#include <cstddef>
#include <vector>

#include "kernels/cpu/attention/attention_piece.h"

namespace subgen::cpu {

// Checks shapes; those that do not fit together are bugs.
void Check(const AttentionTask& task);
void Check(const AttentionMassTask& task);

// Appends the pieces of a task in the order of queries and rows. Rows that no
// query of a piece sees are left out.
void Cut(const AttentionTask& task, int64_t index, int threads,
         std::vector<Piece>* pieces);

// Returns the pieces in the order of tasks and rows, each with all queries.
std::vector<Piece> Cut(Vector<const AttentionMassTask> tasks, int threads);

// Lists the indices of pieces by the memory that their tasks write to; each
// list is in order.
class OutputLists {
 public:
  OutputLists(Vector<const AttentionTask> tasks,
              const std::vector<Piece>& pieces);

  size_t size() const { return begins_.empty() ? 0 : begins_.size() - 1; }
  Vector<const size_t> operator[](size_t list) const {
    return {&pieces_[begins_[list]], begins_[list + 1] - begins_[list]};
  }

 private:
  std::vector<size_t> begins_;  // [lists + 1] in pieces_
  std::vector<size_t> pieces_;
};

}  // namespace subgen::cpu
