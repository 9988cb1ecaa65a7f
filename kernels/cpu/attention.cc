#include "kernels/cpu/attention.h"

#include <algorithm>
#include <vector>

#include "kernels/cpu/attention_piece.h"
#include "kernels/cpu/attention_plan.h"

namespace subgen::cpu {
namespace {

// Where the partials of each piece lie in one block of memory, whole cache
// lines each: [max_logit | partition | weighted, padded].
class PieceResults {
 public:
  PieceResults(Vector<const AttentionTask> tasks,
               const std::vector<Piece>& pieces)
      : tasks_(tasks), pieces_(pieces) {
    for (const Piece& piece : pieces) {
      offsets_.push_back(floats_);
      floats_ += 2 * PaddedWidth(piece.queries.count) +
                 piece.queries.count * PaddedWidth(Dim(piece));
    }
  }
  int64_t floats() const { return floats_; }

  SoftmaxPartials Padded(float* memory, size_t piece) const {
    return View(memory, piece, PaddedWidth(Dim(pieces_[piece])));
  }
  SoftmaxPartials Exact(float* memory, size_t piece) const {
    return View(memory, piece, Dim(pieces_[piece]));
  }

 private:
  int64_t Dim(const Piece& piece) const {
    return tasks_[piece.task].out.weighted.cols;
  }
  SoftmaxPartials View(float* memory, size_t piece, int64_t cols) const {
    float* data = memory + offsets_[piece];
    const int64_t count = pieces_[piece].queries.count;
    const int64_t padded = PaddedWidth(count);
    const auto size = static_cast<size_t>(count);
    return {{data, size},
            {data + padded, size},
            {data + 2 * padded, count, cols, PaddedWidth(Dim(pieces_[piece]))}};
  }

  Vector<const AttentionTask> tasks_;
  const std::vector<Piece>& pieces_;
  std::vector<int64_t> offsets_;
  int64_t floats_ = 0;
};

// On the calling thread.
void AttendInTurn(Context& context, Vector<const AttentionTask> tasks) {
  for (const AttentionTask& task : tasks) {
    float* const scratch = context.worker_scratch[0].Get(AttendScratch(task));
    for (int64_t i = 0; i < task.queries.rows; i += kQueryTile) {
      const int64_t count = std::min(kQueryTile, task.queries.rows - i);
      const std::vector<Piece> piece = {
          {0,
           {i, count},
           {0, VisibleRows(task.row_token, task.rows.keys.count,
                           (i + count - 1) / task.group)}}};
      const PieceResults results({&task, 1}, piece);
      float* const memory = context.results.Get(results.floats());
      AttendPiece(task, piece[0], scratch, results.Padded(memory, 0));
      MergePartials(results.Exact(memory, 0), task.out.Rows(i, count));
    }
  }
}

}  // namespace

void Attend(Context& context, Vector<const AttentionTask> tasks) {
  int64_t work = 0;
  for (const AttentionTask& task : tasks) {
    Check(task);
    work += 2 * task.queries.rows * task.rows.keys.count * task.queries.cols;
  }
  // A few microseconds: to plan and to wake threads would take as long.
  constexpr int64_t kLittle = 1 << 17;
  if (work <= kLittle) return AttendInTurn(context, tasks);
  const std::vector<Piece> pieces = Cut(tasks, context.pool.threads());
  const PieceResults results(tasks, pieces);
  float* memory = context.results.Get(results.floats());
  int64_t multiply_adds = 0;
  for (const Piece& piece : pieces) {
    multiply_adds += 2 * piece.queries.count * piece.rows.count *
                     tasks[piece.task].queries.cols;
  }
  context.Run(pieces.size(), multiply_adds, [&](int64_t i, int worker) {
    const AttentionTask& task = tasks[pieces[i].task];
    AttendPiece(task, pieces[i],
                context.worker_scratch[worker].Get(AttendScratch(task)),
                results.Padded(memory, i));
  });
  const auto lists = ByOutput(tasks, pieces);
  context.Run(lists.size(), results.floats(), [&](int64_t list, int) {
    for (const size_t i : lists[list]) {
      const Range queries = pieces[i].queries;
      MergePartials(
          results.Exact(memory, i),
          tasks[pieces[i].task].out.Rows(queries.first, queries.count));
    }
  });
}

void AccumulateMass(Context& context, Vector<const AttentionMassTask> tasks) {
  for (const AttentionMassTask& task : tasks) Check(task);
  const std::vector<Piece> pieces = Cut(tasks, context.pool.threads());
  std::vector<int64_t> offsets;
  int64_t floats = 0, multiply_adds = 0;
  for (const Piece& piece : pieces) {
    offsets.push_back(floats);
    floats += PaddedWidth(piece.rows.count);
    multiply_adds +=
        piece.queries.count * piece.rows.count * tasks[piece.task].queries.cols;
  }
  float* memory = context.results.Get(floats);
  context.Run(pieces.size(), multiply_adds, [&](int64_t i, int worker) {
    const AttentionMassTask& task = tasks[pieces[i].task];
    MassPiece(task, pieces[i].rows,
              context.worker_scratch[worker].Get(MassScratch(task)),
              memory + offsets[i]);
  });
  for (size_t i = 0; i < pieces.size(); ++i) {
    const Range rows = pieces[i].rows;
    float* mass = &tasks[pieces[i].task].mass[rows.first];
    for (int64_t j = 0; j < rows.count; ++j) mass[j] += memory[offsets[i] + j];
  }
}

}  // namespace subgen::cpu
