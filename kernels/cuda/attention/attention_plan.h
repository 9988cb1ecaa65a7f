// Cuts attention tasks into pieces for blocks of a device.
#pragma once

#include <utility>
#include <vector>

#include "kernels/attention_tasks.h"
#include "kernels/cuda/attention/attention.h"
#include "kernels/cuda/runtime/pieces.h"

namespace subgen::cuda {

// Says whether outputs are merged into, or overwritten.
enum class AttentionStart { kFromOutputs, kFromEmpty };

// Plans one list of tasks after another, in the same memory.
class AttentionPlan {
 public:
  // Makes the plan, and puts operands into the operation. Rows are cut so that
  // about `blocks` blocks are busy. Tasks over several sets of the same queries
  // become one target.
  void Make(Vector<const AttentionTask> tasks, int64_t blocks,
            AttentionStart start, Operation* operation);

  // See TakesManyQueries.
  std::vector<AttentionPiece> few;
  PiecesByFormat<AttentionPiece> many;
  int few_queries = 0;    // the most of a piece of `few`
  int many_head_dim = 0;  // the largest of `many`
  std::vector<MergeTarget> targets;

 private:
  using TaskOfOutput = std::pair<const float*, const AttentionTask*>;
  struct RowsOfPiece {
    int64_t few = 0, many = 0;
  };

  static RowsOfPiece CutRows(Vector<const AttentionTask> tasks, int64_t blocks);
  // Sorts tasks so that those that merge into one output stand together, in
  // their order.
  void SortByOutput(Vector<const AttentionTask> tasks);
  void AddOutput(Vector<const TaskOfOutput> tasks, const RowsOfPiece& cut);
  template <class T>
  auto OnDevice(T output) {
    return start_ == AttentionStart::kFromEmpty ? operation_->Out(output)
                                                : operation_->InOut(output);
  }
  void AddTask(const AttentionTask& task, int64_t rows_of_piece,
               float* partials);

  Operation* operation_ = nullptr;  // that the plan is made for
  AttentionStart start_ = AttentionStart::kFromOutputs;
  std::vector<TaskOfOutput> sorted_;
};

// Returns rounds of pieces; no two pieces of a round add to the same rows.
std::vector<PiecesByFormat<MassPiece>> PlanMass(
    Vector<const AttentionMassTask> tasks, Operation* operation);

}  // namespace subgen::cuda
